import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scene_fixture import SceneFixture, path_of
from tiny import picture_pair, png, tiny_fuser, tiny_weights

import fusion_core
from fusion_core import api as library
from fusion_core.api import fuse
from fusion_core.errors import (
    DecodeError,
    OverlapError,
    SettingsError,
    SizeMismatchError,
    WeightsError,
)
from fusion_core.images.codecs import decode
from fusion_core.images.colour import luminance


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    torch.set_num_threads(1)
    yield tiny_weights(tmp_path_factory.mktemp("weights"))
    library._fuser.cache_clear()


def muted_pair(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A pair whose visible image has colours so weak that none is clipped."""
    ir, vi = picture_pair(seed)
    return ir, np.uint8(128) + vi // 16


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bands=st.tuples(st.sampled_from([1, 3]), st.sampled_from([1, 3, 4])),
    dtypes=st.tuples(*[st.sampled_from([np.uint8, np.uint16])] * 2),
)
def test_any_size_comes_back_in_the_shape_and_type_of_the_visible_image(
    weights: str, size: tuple[int, int], bands: tuple[int, int], dtypes: tuple[type, type]
) -> None:
    rng = np.random.default_rng(1)
    ir, vi = (
        rng.integers(0, np.iinfo(dtype).max, size if band == 1 else (*size, band), dtype)
        for dtype, band in zip(dtypes, bands, strict=True)
    )
    fused = fuse(ir, vi, model=weights, device="cpu", precision="fp32", engine="eager")
    assert fused.shape == vi.shape
    assert fused.dtype == vi.dtype


def test_the_luminance_is_the_networks(weights: str) -> None:
    ir, vi = muted_pair(1)
    sides = [torch.from_numpy(luminance(image))[None, None] for image in (ir, vi)]
    expected = tiny_fuser()(*sides)[0, 0].numpy()
    assert np.ptp(expected) > 0.1
    found = fuse(ir, vi, model=weights, device="cpu", precision="fp32", engine="eager")
    assert np.abs(luminance(found) - expected).max() <= 0.6 / 255


def test_rgb_keeps_its_chroma(weights: str) -> None:
    ir, vi = muted_pair(2)
    fused = fuse(ir, vi, model=weights, device="cpu", precision="fp32", engine="eager").astype(int)
    change = fused - vi
    assert np.abs(change).max() > 3  # something did change
    assert np.ptp(change, axis=-1).max() <= 1  # by the same in R, G and B: Cb and Cr are kept


def test_grey_in_three_channels_stays_grey(weights: str) -> None:
    ir, vi = picture_pair(3)
    grey = vi[..., 0]
    fused = fuse(
        ir, np.dstack([grey] * 3), model=weights, device="cpu", precision="fp32", engine="eager"
    )
    assert (fused == fused[..., :1]).all()
    alone = fuse(ir, grey, model=weights, device="cpu", precision="fp32", engine="eager")
    assert np.abs(fused[..., 0].astype(int) - alone).max() <= 1


def test_alpha_is_carried_over_and_changes_nothing_else(weights: str) -> None:
    ir, vi = picture_pair(4)
    alpha = np.random.default_rng(4).integers(1, 255, vi.shape[:2], np.uint8)
    fused = fuse(
        ir, np.dstack([vi, alpha]), model=weights, device="cpu", precision="fp32", engine="eager"
    )
    np.testing.assert_array_equal(fused[..., 3], alpha)
    np.testing.assert_array_equal(
        fused[..., :3], fuse(ir, vi, model=weights, device="cpu", precision="fp32", engine="eager")
    )


def test_16_bits_are_more_than_8_bits_times_257(weights: str) -> None:
    ir, vi = (image.astype(np.uint16) * 257 for image in picture_pair(5))
    deep = fuse(ir, vi, model=weights, device="cpu", precision="fp32", engine="eager")
    shallow = fuse(*picture_pair(5), model=weights, device="cpu", precision="fp32", engine="eager")
    assert np.abs(deep / 257 - shallow).max() <= 0.5 + 0.01
    assert len(np.unique(deep)) > 2 * len(np.unique(shallow))


def test_arrays_are_not_changed_and_may_be_views(weights: str) -> None:
    ir, vi = picture_pair(6)
    expected = fuse(
        ir[::-1, ::2].copy(), vi[::-1, ::2].copy(), model=weights, device="cpu", precision="fp32"
    )
    before = ir.copy(), vi.copy()
    for image in (ir, vi):
        image.setflags(write=False)
    np.testing.assert_array_equal(
        fuse(
            ir[::-1, ::2],
            vi[::-1, ::2],
            model=weights,
            device="cpu",
            precision="fp32",
            engine="eager",
        ),
        expected,
    )
    np.testing.assert_array_equal(ir, before[0])
    np.testing.assert_array_equal(vi, before[1])


def test_the_network_is_loaded_once(weights: str, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    own.write_bytes(Path(weights).read_bytes())
    ir, vi = picture_pair(7)
    first = fuse(ir, vi, model=str(own), device="cpu", precision="fp32", engine="eager")
    own.unlink()
    np.testing.assert_array_equal(
        fuse(ir, vi, model=str(own), device="cpu", precision="fp32", engine="eager"), first
    )


def test_the_packaged_weights_are_the_default() -> None:
    ir, vi = picture_pair(8, (16, 16))
    fused = fusion_core.fuse(ir, vi, device="cpu", precision="fp32", engine="eager")
    assert fused.shape == vi.shape
    library._fuser.cache_clear()


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 5), np.float32),
        np.zeros((4, 5), np.int16),
        np.zeros((4, 5, 2), np.uint8),
        np.zeros((1, 4, 5, 3), np.uint8),
        np.zeros((20,), np.uint8),
        np.zeros((0, 5), np.uint8),
    ],
)
def test_an_array_of_another_kind_is_refused_by_side_shape_and_type(
    weights: str, bad: np.ndarray
) -> None:
    good = np.zeros((4, 5), np.uint8)
    with pytest.raises(DecodeError, match=rf"infrared .*type {bad.dtype}; expected \(H, W\), \(H"):
        fuse(bad, good, model=weights)
    with pytest.raises(DecodeError, match="visible image is an array of shape"):
        fuse(good, bad, model=weights)


def hot_counts() -> NDArray[np.uint16]:
    """What a camera of 14 bits writes: a scene of some hundred counts, and one hot target."""
    counts = 7200 + np.random.default_rng(11).integers(0, 600, (40, 48)).astype(np.uint16)
    counts[30:33, 40:43] = 16000
    return counts


def fused_by_run(folder: Path, ir: bytes, vi: bytes, **changes: Any) -> NDArray[Any]:
    archive = SceneFixture(folder / uuid.uuid4().hex, **changes)
    archive.put_bytes("ir", "a", ir)
    archive.put_bytes("vi", "a", vi)
    row = archive.fuse_one("a")
    return decode(archive.output.read(path_of(archive, row))).pixels


@pytest.mark.parametrize(
    "scaling",
    [
        {},
        {"scaling": "type"},
        {"percentiles": (5, 80)},
        {"ir_range": (7200, 7900)},
        {"vi_range": (20, 90)},
        {"scaling": "range", "ir_range": (7200, 7900), "vi_range": (20, 90)},
    ],
)
def test_counts_mean_what_they_mean_in_a_run(
    weights: str, scaling: dict[str, Any], tmp_path: Path
) -> None:
    counts, (_, vi) = hot_counts(), picture_pair(12, (40, 48))
    fused = fuse(counts, vi, model=weights, device="cpu", precision="fp32", **scaling)
    np.testing.assert_array_equal(fused, fused_by_run(tmp_path, png(counts), png(vi), **scaling))


def test_counts_beside_a_hot_target_are_not_lost(weights: str) -> None:
    counts, (_, vi) = hot_counts(), picture_pair(12, (40, 48))
    flat = np.full_like(vi, 90)
    options: dict[str, Any] = {"model": "maximum", "device": "cpu"}
    seen = fuse(counts, flat, **options)[:24, :, 0]
    assert seen.max() - seen.min() > 100
    assert np.ptp(fuse(counts, flat, scaling="type", **options)[:24, :, 0]) == 0


def test_counts_of_the_visible_image_keep_their_units(weights: str) -> None:
    counts, warmer = hot_counts(), hot_counts()[::-1]
    fused = fuse(warmer, counts, model="mean", device="cpu")
    assert fused.dtype == np.uint16
    assert 7200 <= np.median(fused) <= 7800
    assert abs(int(fused.max()) - 16000) < 700  # what exceeds the percentiles is kept


@pytest.mark.parametrize("side", ["infrared", "visible"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_where_alpha_is_0_the_visible_image_stays_as_it_is(
    weights: str, side: str, dtype: type
) -> None:
    ir, vi = (image.astype(dtype) for image in picture_pair(13))
    ir = np.dstack([ir] * 3)
    alpha = np.full(vi.shape[:2], np.iinfo(dtype).max, dtype)
    alpha[6:12, 4:20] = 0
    alpha[0, 0] = 1  # hardly opaque, and there all the same
    if side == "infrared":
        ir = np.dstack([ir, alpha])
    else:
        vi = np.dstack([vi, alpha])
    fused = fuse(ir, vi, model=weights, device="cpu", precision="fp32", engine="eager")
    assert fused.shape == vi.shape
    changed = (fused != vi).any(axis=2)
    assert not changed[alpha == 0].any()
    assert changed[alpha > 0].mean() > 0.5
    # What lies there has no part in the rest either.
    spoiled = ir.copy() if side == "infrared" else vi.copy()
    spoiled[6:12, 4:20, :3] = np.iinfo(dtype).max
    pair = (spoiled, vi) if side == "infrared" else (ir, spoiled)
    again = fuse(*pair, model=weights, device="cpu", precision="fp32", engine="eager")
    np.testing.assert_array_equal(again[alpha > 0], fused[alpha > 0])


def test_images_that_show_nothing_at_a_common_pixel_are_refused(weights: str) -> None:
    image = np.zeros((4, 6, 4), np.uint8)
    left, right = image.copy(), image.copy()
    left[:, :3, 3] = right[:, 3:, 3] = 255
    with pytest.raises(OverlapError, match=r"show something at no common pixel; .* Check their al"):
        fuse(left, right, model=weights)


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ({"scaling": "range"}, "scaling is range and ir_range isn't set; expected both ranges"),
        ({"scaling": "type", "ir_range": (0, 9)}, "ir_range is set and scaling is type, which"),
        (
            {"scaling": "type", "percentiles": (1, 99)},
            "percentiles are set and scaling is type, so",
        ),
        (
            {"percentiles": (99, 1)},
            "percentiles are 99 and 1; expected two of 0 to 100, the lower first",
        ),
        ({"vi_range": (9, 9)}, "vi_range is .*; expected two numbers, the lower first"),
        ({"scaling": "minmax"}, "scaling: Input should be 'auto'"),
        ({"ir_range": "warm"}, "ir_range: "),
    ],
)
def test_scalings_that_do_not_go_together_are_refused(
    weights: str, scaling: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingsError, match=f"^{message}"):
        fuse(*picture_pair(9), model=weights, **scaling)


def test_different_sizes_are_refused_with_both(weights: str) -> None:
    with pytest.raises(SizeMismatchError, match="infrared is 5x4 and visible 4x5"):
        fuse(np.zeros((4, 5), np.uint8), np.zeros((5, 4, 3), np.uint8), model=weights)


def test_unusable_weights_and_devices_are_refused(weights: str, tmp_path: Path) -> None:
    ir, vi = picture_pair(9)
    with pytest.raises(WeightsError, match="No model at"):
        fuse(ir, vi, model=str(tmp_path / "none.safetensors"))
    with pytest.raises(SettingsError, match="device"):
        fuse(ir, vi, model=weights, device="abacus")
