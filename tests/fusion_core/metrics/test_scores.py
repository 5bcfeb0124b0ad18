"""Errors, the interface for arrays, and batches."""

import numpy as np
import pytest
import torch

from fusion_core.errors import MetricError
from fusion_core.metrics import (
    METRIC_NAMES,
    METRIC_VERSION,
    METRIC_VERSIONS,
    score,
    score_batch,
    to_grey255,
)
from fusion_core.metrics.greyscale import unit_to_grey255


def batch(seed: int, count: int = 4, height: int = 44, width: int = 50) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 1, height, width), generator=generator).double()


def grey(seed: int, shape: tuple[int, ...] = (44, 50)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def with_value(value: float) -> torch.Tensor:
    images = batch(3)
    images[2, 0, 5, 6] = value
    return images


def assert_equal_scores(found: dict[str, float], expected: dict[str, float]) -> None:
    for name in METRIC_NAMES:
        assert found[name] == pytest.approx(expected[name], rel=1e-12, nan_ok=True), name


def test_names_and_version_of_the_published_conventions():
    assert METRIC_NAMES == ("vif", "ag", "scd", "qabf", "sf", "en", "ssim")
    assert METRIC_VERSION == "published-1"
    assert METRIC_VERSIONS == {"published": "published-1", "textbook": "textbook-1"}


def test_a_batch_scores_like_its_images_one_by_one():
    ir, vi, fused = batch(1), batch(2), batch(3)
    ir[1], fused[2], fused[3] = 7, 200, ir[3]
    together = score_batch(ir, vi, fused)
    assert tuple(together) == METRIC_NAMES
    for i in range(4):
        alone = score_batch(ir[i : i + 1], vi[i : i + 1], fused[i : i + 1])
        for name in METRIC_NAMES:
            assert together[name].shape == (4,)
            assert together[name].dtype == torch.float64
            expected = pytest.approx(alone[name].item(), rel=1e-12, nan_ok=True)
            assert together[name][i].item() == expected, name


def test_only_what_is_undefined_for_an_image_is_nan():
    ir, vi, fused = batch(1), batch(2), batch(3)
    ir[1], fused[3] = 7, ir[3]
    undefined = {
        name: values.isnan().tolist() for name, values in score_batch(ir, vi, fused).items()
    }
    expected = {name: [False] * 4 for name in METRIC_NAMES}
    expected["vif"] = [False, True, False, False]
    expected["scd"] = [False, True, False, True]
    assert undefined == expected


@pytest.mark.parametrize(
    ("side", "undefined"),
    [
        (1, {"vif", "ag", "scd", "qabf", "sf", "ssim"}),
        (2, {"vif", "ssim"}),
        (6, {"vif", "ssim"}),
        (7, {"vif"}),
        (16, {"vif"}),
        (17, set()),
    ],
)
def test_images_too_small_for_a_metric_leave_that_metric_undefined(side, undefined):
    scores = score_batch(*(batch(seed, 2, side, side) for seed in (1, 2, 3)))
    assert {name for name in METRIC_NAMES if scores[name].isnan().any()} == undefined


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8])
def test_grey_values_score_the_same_in_any_dtype(dtype):
    images = [batch(seed) for seed in (1, 2, 3)]
    expected = score_batch(*images)
    found = score_batch(*(image.to(dtype) for image in images))
    assert all(torch.equal(found[name], expected[name]) for name in METRIC_NAMES)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_accelerator_scores_like_the_cpu():
    # Several sizes and constants, as a mean that is rounded must not hide a constant image.
    for height, width in ((6, 7), (21, 33), (44, 50), (120, 161)):
        ir, vi, fused = (batch(seed, 6, height, width) for seed in (1, 2, 3))
        ir[1], vi[2], fused[3], fused[4] = 7, 253, 200, ir[4]
        expected = score_batch(ir, vi, fused)
        found = score_batch(ir.cuda(), vi.cuda(), fused.cuda())
        for name in METRIC_NAMES:
            assert found[name].is_cuda
            # Their fp32 maps round apart, since a card multiplies and adds in one step: by 4.2e-7
            # at most on an H200 (SSIM near 0; AG 6e-8), the float64 sums of the others by 1e-15.
            same = pytest.approx(expected[name].tolist(), rel=1e-6, abs=1e-9, nan_ok=True)
            assert found[name].tolist() == same, name


def test_scoring_leaves_the_images_as_they_were():
    images = [batch(seed) for seed in (1, 2, 3)]
    score_batch(*images)
    assert all(
        torch.equal(image, batch(seed)) for image, seed in zip(images, (1, 2, 3), strict=True)
    )


@pytest.mark.parametrize(
    ("fused", "message"),
    [
        (batch(3)[:, 0], r"metric score: fused has shape \(4, 44, 50\), expected \(B, 1, H, W\)"),
        (batch(3).expand(4, 3, 44, 50), r"fused has shape \(4, 3, 44, 50\).* one grey channel"),
        (batch(3)[:0], r"fused has shape \(0, 1, 44, 50\).* non-empty"),
        (batch(3)[..., :0], r"fused has shape \(4, 1, 44, 0\).* non-empty"),
        (
            batch(3)[..., 1:],
            r"fused has shape \(4, 1, 44, 49\), expected that of ir, \(4, 1, 44, 50\)",
        ),
        (batch(3)[:3], r"fused has shape \(3, 1, 44, 50\), expected that of ir"),
        (batch(3).to("meta"), "fused is on meta, expected the device of ir, cpu"),
        (
            with_value(float("nan")),
            r"fused of shape \(4, 1, 44, 50\) holds 1 values .* NaN or infinite",
        ),
        (
            with_value(float("inf")),
            r"fused of shape \(4, 1, 44, 50\) holds 1 values .* NaN or infinite",
        ),
        (
            with_value(-1),
            "holds values from -1 to 255, expected integer grey values",
        ),
        (
            with_value(256),
            "holds values from 0 to 256, .*; scale the image to 0..255",
        ),
        (with_value(0.5), "holds 1 values that are not integers"),
    ],
)
def test_images_without_grey_values_are_refused(fused, message):
    with pytest.raises(MetricError, match=message):
        score_batch(batch(1), batch(2), fused)


def test_an_image_on_0_to_1_is_refused():
    with pytest.raises(MetricError, match=r"ir of shape .* not integers, .* from 0 to 255"):
        score_batch(batch(1) / 255, batch(2), batch(3))


def test_arrays_score_like_tensors():
    ir, vi, fused = grey(1), grey(2), grey(3)
    tensors = [torch.from_numpy(x).double()[None, None] for x in (ir, vi, fused)]
    expected = {name: value.item() for name, value in score_batch(*tensors).items()}
    found = score(ir, vi, fused)
    assert tuple(found) == METRIC_NAMES
    assert all(type(value) is float for value in found.values())
    assert found == expected


def test_a_copy_of_greater_depth_scores_the_same():
    images = [grey(1), grey(2, (44, 50, 3)), grey(3, (44, 50, 3))]
    expected = score(*images)
    assert_equal_scores(score(*(x.astype(np.uint16) * 257 for x in images)), expected)
    assert_equal_scores(score(*(x.astype(np.float64) / 255 for x in images)), expected)


def test_a_read_only_array_is_scored_without_a_warning():
    ir, vi, fused = grey(1), grey(2), grey(3)
    expected = score(ir, vi, fused)
    for image in (ir, vi, fused):
        image.flags.writeable = False
    assert_equal_scores(score(ir, vi, fused), expected)


def test_colour_turns_into_rounded_luminance():
    colours = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [1, 2, 3], [10, 20, 200]]
    # 76.23, 149.70, 29.08, 255, 1.815 and 37.53
    assert to_grey255(np.array([colours], np.uint8)).tolist() == [[76, 150, 29, 255, 2, 38]]


def test_luminance_has_the_weights_of_rgb2gray_to_the_last_digit():
    weights = np.array([298_936_021_293_775, 587_043_074_451_121, 114_020_904_255_103])
    colours = grey(4, (500, 500, 3))
    expected = (colours.astype(np.int64) @ weights + 10**15 // 2) // 10**15
    assert np.array_equal(to_grey255(colours), expected)


def test_every_grey_level_keeps_its_value_in_any_form():
    levels = np.arange(256, dtype=np.uint8)[None]
    for form in (
        levels,
        levels.astype(np.uint16) * 257,
        levels.astype(np.float32) / np.float32(255),
        levels.astype(np.float64) / 255,
        np.repeat(levels[..., None], 3, axis=2),
    ):
        found = to_grey255(form)
        assert found.dtype == np.uint8
        assert np.array_equal(found, levels)


def test_depths_beyond_8_bits_round_to_the_nearest_level():
    assert to_grey255(np.array([[0, 128, 129, 65406, 65407, 65535]], np.uint16)).tolist() == [
        [0, 0, 1, 254, 255, 255]
    ]
    assert to_grey255(np.array([[0.5, 0.499]])).tolist() == [[128, 127]]


def test_unchecked_values_round_as_images_do():
    unit = np.linspace(0, 1, 5111, dtype=np.float32).reshape(19, 269)
    assert np.array_equal(unit_to_grey255(unit), to_grey255(unit))
    assert unit_to_grey255(unit[..., None]).shape == (19, 269, 1)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4, 4), np.uint8), r"shape \(4, 4, 4\), expected \(H, W\) or \(H, W, 3\)"),
        (np.zeros(4, np.uint8), r"shape \(4,\), expected \(H, W\)"),
        (np.zeros((4, 4), np.int32), "holds int32, expected uint8, uint16 or floating-point"),
        (np.zeros((4, 4), bool), "holds bool, expected"),
        (np.full((4, 4), 1.5), "from 1.5 to 1.5, expected 0..1; divide by"),
        (np.full((4, 4), -0.1), "expected 0..1"),
        (np.full((4, 4), np.nan), "from nan to nan, expected 0..1"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array, message):
    with pytest.raises(MetricError, match=message):
        to_grey255(array)


def test_arrays_of_different_sizes_and_empty_ones_are_refused():
    with pytest.raises(MetricError, match=r"vi has shape \(1, 1, 44, 49\), expected that of ir"):
        score(grey(1), grey(2, (44, 49)), grey(3))
    with pytest.raises(MetricError, match="non-empty"):
        score(*[grey(1, (0, 5))] * 3)
