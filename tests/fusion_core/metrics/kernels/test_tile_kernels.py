"""The compiled loops add up what PyTorch adds up, tile by tile."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from generated_scenes import texture
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_scenes import GAPS, gaps
from numpy.typing import NDArray
from scored_by_torch import by_torch

from fusion_core.metrics import METRIC_NAMES, score, sums, tiles
from fusion_core.metrics.kernels.edge_strength import _angle, _sigmoid
from fusion_core.metrics.kernels.tile_kernels import is_for, kernel_sums
from fusion_core.metrics.scores import score_batch
from fusion_core.metrics.tiles import MetricTile, windows

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def stack(*images: Grey) -> torch.Tensor:
    return torch.from_numpy(np.stack(images))[:, None]


def noise(shape: tuple[int, ...], seed: int, low: int = 0, high: int = 256) -> Grey:
    return np.random.default_rng(seed).integers(low, high, shape, np.uint8)


def grey_texture(shape: tuple[int, int], seed: int) -> Grey:
    return (255 * texture(seed, shape)).astype(np.uint8)


def whole(images: torch.Tensor, valid: Mask | None = None) -> MetricTile:
    height, width = images.shape[-2:]
    (window,) = windows(height, width)
    counted = None if valid is None else torch.from_numpy(valid)
    images = images if counted is None else images * counted
    return MetricTile.read(images, window, height=height, width=width, valid=counted)


def added_up(images: torch.Tensor, valid: Mask | None = None) -> sums.Sums:
    with torch.inference_mode():
        if valid is not None:
            return sums.tile_sums(whole(images, valid), "published")
        return sums.image_sums(images, "published")


def check(images: torch.Tensor, valid: Mask | None = None) -> None:
    found = added_up(images, valid)
    with by_torch():
        expected = added_up(images, valid)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        if name == "gradients" and min(images.shape[-2:]) == 1:
            continue  # there are none, and AG is undefined
        assert found[name].shape == values.shape, name
        assert found[name].dtype == values.dtype, name
        # PyTorch's own are within 1e-5 of float64.
        np.testing.assert_allclose(found[name], values, rtol=3e-6, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 3), (7, 7), (16, 90), (17, 17), (41, 47), (300, 530)]
)
def test_sums_of_images_are_those_of_torch(shape: tuple[int, int]) -> None:
    check(stack(noise(shape, 1), noise(shape, 2), noise(shape, 3)))
    dark = noise(shape, 4, 0, 3), noise(shape, 5, 250, 252)
    check(stack(*dark, np.maximum(*dark)))
    if min(shape) > 16:
        ir, vi = grey_texture(shape, 6), grey_texture(shape, 7)
        check(stack(ir, vi, (ir // 2 + vi // 2)))


def test_sums_of_tiles_are_those_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILE", 128)
    ir, vi = grey_texture((300, 350), 8), grey_texture((300, 350), 9)
    check(stack(ir, vi, np.maximum(ir, vi)))


@pytest.mark.parametrize("kind", GAPS)
@pytest.mark.parametrize("shape", [(3, 2), (7, 9), (17, 40), (130, 210)])
def test_sums_of_images_with_gaps_are_those_of_torch(shape: tuple[int, int], kind: str) -> None:
    valid = gaps(kind, shape, np.random.default_rng(5))
    check(stack(noise(shape, 1), noise(shape, 2), noise(shape, 3)), valid)
    ir, vi = grey_texture(shape, 6), grey_texture(shape, 7)
    check(stack(ir, vi, np.minimum(ir, vi)), valid)


def test_gaps_that_take_no_pixel_change_no_sum_and_those_that_take_all_leave_none() -> None:
    images = stack(noise((40, 50), 1), noise((40, 50), 2), noise((40, 50), 3))
    found, expected = (added_up(images, mask) for mask in (np.ones((40, 50), bool), None))
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, err_msg=name)
    none = added_up(images, np.zeros((40, 50), bool))
    assert not any(none[name].any() for name in ("vif", "ssim", "edges", "gradients"))


@settings(max_examples=20, deadline=None)
@given(
    height=st.integers(1, 60), width=st.integers(1, 60), seed=st.integers(0, 99), few=st.booleans()
)
def test_images_of_all_sizes_score_as_by_torch(
    height: int, width: int, seed: int, few: bool
) -> None:
    high = 3 if few else 256
    images = [noise((height, width), seed + k, 0, high) for k in range(3)]
    check(stack(*images))


def test_images_of_a_batch_are_added_up_one_by_one() -> None:
    images = torch.from_numpy(
        np.stack([[noise((40, 50), 3 * k + side) for k in range(3)] for side in range(3)])
    )
    together = kernel_sums(whole(images))
    alone = [kernel_sums(whole(images[:, k : k + 1])) for k in range(3)]
    for name, values in together.items():
        batch = {"vif": 1}.get(name, -1)
        np.testing.assert_array_equal(values, torch.cat([one[name] for one in alone], batch))


def test_an_image_that_is_both_its_sources_is_kept_whole() -> None:
    image = grey_texture((120, 160), 3)
    found = score(image, image, image)
    assert found["vif"] == pytest.approx(2, abs=1e-9)
    assert found["ssim"] == pytest.approx(2, abs=1e-9)


def test_swapping_the_sources_changes_nothing() -> None:
    ir, vi, fused = (noise((90, 75), seed) for seed in (1, 2, 3))
    one, other = score(ir, vi, fused), score(vi, ir, fused)
    for name in METRIC_NAMES:
        assert one[name] == pytest.approx(other[name], rel=1e-12), name


def test_loops_are_for_tiles_of_pairs_on_cpus_by_the_published_definitions() -> None:
    images = stack(noise((9, 9), 1), noise((9, 9), 2), noise((9, 9), 3))
    assert is_for(whole(images), "published")
    assert not is_for(whole(images), "textbook")
    assert not is_for(whole(images[-1:]), "published")
    assert not is_for(whole(images.to("meta")), "published")
    assert is_for(whole(images, np.zeros((9, 9), bool)), "published")
    with by_torch():
        assert not is_for(whole(images), "published")


def test_without_numba_scores_are_the_same() -> None:
    tensors = [torch.from_numpy(noise((2, 1, 64, 70), seed)) for seed in (1, 2, 3)]
    found = score_batch(*tensors)
    with by_torch():
        expected = score_batch(*tensors)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)


def test_angles_and_sigmoids_are_those_of_the_library() -> None:
    for degree in range(0, 181):
        cross, dot = 1000 * math.sin(math.radians(degree)), 1000 * math.cos(math.radians(degree))
        assert _angle(cross, dot) == pytest.approx(math.atan2(cross, dot), abs=2e-9)
    assert _angle(0.0, 0.0) == 0
    for value in np.linspace(-29, 29, 117):
        assert _sigmoid(value) == pytest.approx(1 / (1 + math.exp(-value)), rel=2e-7)
    assert _sigmoid(20000.0) == pytest.approx(1, abs=1e-12)
    assert _sigmoid(-20000.0) == pytest.approx(0, abs=1e-12)


def test_all_loops_can_be_compiled_before_they_are_needed() -> None:
    program = (
        "from fusion_core.metrics.kernels import edge_strength, information, similarity\n"
        "from fusion_core.metrics.kernels.tile_kernels import compile_all\n"
        "compile_all()\n"
        "called = edge_strength.edge_strength_sums, similarity.similarity_sums\n"
        "called += information._add_scale, information._halved\n"
        "assert all(one.signatures for one in called), called\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
