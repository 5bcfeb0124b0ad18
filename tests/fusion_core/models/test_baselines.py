import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from fusion_core.errors import SettingsError
from fusion_core.models import baselines
from fusion_core.models.baselines import (
    BASELINES,
    BaselineFuser,
    baseline_hash,
    box_mean,
    expand,
    guided,
    guided_filter,
    laplacian,
    maximum,
    mean,
    reduce,
)

Image = NDArray[np.float64]
NAMES = sorted(BASELINES)
SIZES = [(1, 1), (1, 2), (1, 9), (7, 1), (2, 2), (3, 5), (16, 17), (40, 31)]


def pair(*shape: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)


def scene(height: int = 48, width: int = 64) -> tuple[Tensor, Tensor]:
    """A hot square on a cold ground, and a bright ramp with stripes."""
    ir = torch.full((1, 1, height, width), 0.1)
    ir[..., 20:30, 20:30] = 0.9
    stripes = 0.1 * (torch.arange(height) // 4 % 2)[:, None]
    return ir, (torch.linspace(0.2, 0.7, width) + stripes)[None, None]


def plane(image: Tensor) -> Image:
    return image[0, 0].double().numpy()


def test_mean_and_maximum_by_hand() -> None:
    ir, vi = torch.tensor([[[[0.0, 0.5]]]]), torch.tensor([[[[1.0, 0.25]]]])
    assert mean(ir, vi).tolist() == [[[[0.5, 0.375]]]]
    assert maximum(ir, vi).tolist() == [[[[1.0, 0.5]]]]


def test_halving_and_doubling_by_hand() -> None:
    point = torch.tensor([[[[0.0, 0.0, 16.0, 0.0, 0.0]]]])
    assert reduce(point).tolist() == [[[[2.0, 6.0, 2.0]]]]  # reflected: 0 0 [0 0 16 …]
    coarse = torch.tensor([[[[0.0, 8.0, 0.0]]]])
    assert expand(coarse, (1, 5)).tolist() == [[[[2.0, 4.0, 6.0, 4.0, 2.0]]]]
    flat = torch.full((1, 1, 6, 7), 0.3)
    torch.testing.assert_close(reduce(flat), torch.full((1, 1, 3, 4), 0.3))
    torch.testing.assert_close(expand(reduce(flat), (6, 7)), flat)


def test_pyramid_takes_the_stronger_detail_and_the_brighter_base_by_hand() -> None:
    # Of two pixels the base is the mean (8a + 8b) / 16: 0.4 with details -0.4 and 0.4, and 0.5
    # with none.
    ir, vi = torch.tensor([[[[0.0, 0.8]]]]), torch.tensor([[[[0.5, 0.5]]]])
    torch.testing.assert_close(laplacian(ir, vi), torch.tensor([[[[0.1, 0.9]]]]))


def scipy_reduce(image: Image) -> Image:
    for axis in (0, 1):
        if image.shape[axis] > 1:
            taps = np.array([1, 4, 6, 4, 1]) / 16
            image = ndimage.correlate1d(image, taps, axis, mode="mirror")
            image = image[::2] if axis == 0 else image[:, ::2]
    return image


def scipy_expand(image: Image, shape: tuple[int, ...]) -> Image:
    for axis in (0, 1):
        if shape[axis] > 1:
            image = np.insert(image, range(1, image.shape[axis] + 1), 0, axis)
            image = image[: shape[0]] if axis == 0 else image[:, : shape[1]]
            taps = np.array([1, 4, 6, 4, 1]) / 8
            image = ndimage.correlate1d(image, taps, axis, mode="mirror")
    return image


def scipy_laplacian(ir: Image, vi: Image, levels: int = 4) -> Image:
    if not levels or ir.size == 1:
        return np.maximum(ir, vi)
    low_ir, low_vi = scipy_reduce(ir), scipy_reduce(vi)
    high_ir, high_vi = ir - scipy_expand(low_ir, ir.shape), vi - scipy_expand(low_vi, vi.shape)
    high = np.where(np.abs(high_ir) >= np.abs(high_vi), high_ir, high_vi)
    return high + scipy_expand(scipy_laplacian(low_ir, low_vi, levels - 1), ir.shape)


def naive_box(image: Image, radius: int) -> Image:
    result = np.empty_like(image)
    for row, column in itertools.product(*map(range, image.shape)):
        top, left = max(row - radius, 0), max(column - radius, 0)
        result[row, column] = image[top : row + radius + 1, left : column + radius + 1].mean()
    return result


def scipy_box(image: Image, radius: int) -> Image:
    sums, count = (
        ndimage.uniform_filter(np.pad(plane, radius), 2 * radius + 1, mode="constant")
        for plane in (image, np.ones_like(image))
    )
    inside = (slice(radius, radius + image.shape[0]), slice(radius, radius + image.shape[1]))
    return np.asarray((sums / np.where(count > 0, count, 1))[inside])


def scipy_guided_filter(image: Image, guide: Image, radius: int, eps: float) -> Image:
    mean_p, mean_i = scipy_box(image, radius), scipy_box(guide, radius)
    a = (scipy_box(guide * image, radius) - mean_i * mean_p) / (
        scipy_box(guide**2, radius) - mean_i**2 + eps
    )
    return scipy_box(a, radius) * guide + scipy_box(mean_p - a * mean_i, radius)


def scipy_guided(ir: Image, vi: Image) -> Image:
    images = np.stack((ir, vi))
    edges = [ndimage.laplace(image, mode="mirror") for image in images]
    salient = np.stack(
        [ndimage.gaussian_filter(np.abs(edge), 5, mode="mirror", radius=5) for edge in edges]
    )
    wins = (salient == salient.max(0)).astype(float)
    bases = np.stack([scipy_box(image, 15) for image in images])
    fused = np.zeros_like(ir)
    for layers, radius, eps in ((bases, 45, 0.3), (images - bases, 7, 1e-6)):
        weights = [
            np.maximum(scipy_guided_filter(win, image, radius, eps), 0)
            for win, image in zip(wins, images, strict=True)
        ]
        fused += (layers * weights).sum(0) / sum(weights)
    return fused


@pytest.mark.parametrize("size", SIZES)
def test_pyramid_is_that_of_scipy(size: tuple[int, int]) -> None:
    ir, vi = pair(1, 1, *size)
    expected = scipy_laplacian(plane(ir), plane(vi))
    np.testing.assert_allclose(plane(laplacian(ir, vi)), expected, atol=1e-5)


@pytest.mark.parametrize("images", [scene(), pair(1, 1, 40, 31), pair(1, 1, 1, 50)])
def test_guided_fusion_is_that_of_scipy(images: tuple[Tensor, Tensor]) -> None:
    expected = scipy_guided(*map(plane, images))
    np.testing.assert_allclose(plane(guided(*images)), expected, atol=1e-5)


@pytest.mark.parametrize("radius", [1, 4, 45])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (6, 4), (12, 17)])
def test_the_box_stops_at_the_border(size: tuple[int, int], radius: int) -> None:
    image = pair(1, 1, *size)[0].double()
    np.testing.assert_allclose(plane(box_mean(image, radius)), naive_box(plane(image), radius))


def test_box_by_hand() -> None:
    row = torch.tensor([[[[1.0, 3.0, 8.0]]]], dtype=torch.float64)
    assert box_mean(row, 1).tolist() == [[[[2.0, 4.0, 5.5]]]]


def test_guided_filter_by_hand_and_its_limits() -> None:
    # Two pixels, one window: mean 0.5, variance 0.25, covariance 0.25; slope 0.25 / (0.25 + 0.25).
    step = torch.tensor([[[[0.0, 1.0]]]], dtype=torch.float64)
    assert guided_filter(step, step, 1, 0.25).tolist() == [[[[0.25, 0.75]]]]
    image, guide = (side.double() for side in pair(1, 1, 20, 20))
    torch.testing.assert_close(guided_filter(guide, guide, 3, 0.0), guide)  # keeps its own edges
    twice = box_mean(box_mean(image, 3), 3)
    torch.testing.assert_close(guided_filter(image, guide, 3, 1e9), twice, atol=1e-8, rtol=0)


def test_guided_fusion_by_hand_where_one_image_is_flat() -> None:
    flat, textured = torch.full((1, 1, 20, 20), 0.5), pair(1, 1, 20, 20)[0]
    # The textured image wins everywhere, so that its weights are 1 and those of the other 0.
    torch.testing.assert_close(guided(flat, textured), textured, atol=1e-6, rtol=0)
    torch.testing.assert_close(guided(textured, flat), textured, atol=1e-6, rtol=0)
    torch.testing.assert_close(guided(flat, flat / 2), flat * 0.75)  # no saliency: half and half


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_equal_images_give_that_image(name: str, size: tuple[int, int]) -> None:
    image = pair(2, 1, *size)[0]
    fused = BaselineFuser(name, "cpu")(image, image)
    torch.testing.assert_close(fused, image, atol=1e-5, rtol=0)
    assert fused.dtype == torch.float32
    assert fused.is_contiguous()


@settings(max_examples=30)
@given(
    name=st.sampled_from(NAMES),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    levels=st.sampled_from([2, 256]),
)
def test_any_pair_gives_an_image_and_each_pair_its_own(
    name: str, size: tuple[int, int], levels: int
) -> None:
    ir, vi = ((side * levels).floor() / (levels - 1) for side in pair(3, 1, *size))
    ir, vi = ir.clamp(0, 1), vi.clamp(0, 1)
    fuse = BaselineFuser(name, "cpu")
    fused = fuse(ir, vi)
    assert fused.shape == ir.shape
    assert bool(fused.isfinite().all())
    assert 0 <= float(fused.min()) <= float(fused.max()) <= 1
    alone = torch.cat([fuse(ir[k : k + 1], vi[k : k + 1]) for k in range(3)])
    assert torch.equal(fused, alone)


@pytest.mark.parametrize("name", ["laplacian", "guided"])
def test_fusing_follows_a_mirrored_and_a_turned_image(name: str) -> None:
    # 33 columns and 17 rows halve to odd sides four times, so that mirroring keeps the even ones.
    ir, vi = pair(1, 1, 17, 33)
    fuse = BASELINES[name]
    fused = fuse(ir, vi)
    mirrored = fuse(ir.flip(-1), vi.flip(-1)).flip(-1)
    turned = fuse(ir.mT, vi.mT).mT
    torch.testing.assert_close(mirrored, fused, atol=1e-5, rtol=0)
    torch.testing.assert_close(turned, fused, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["laplacian", "guided"])
def test_a_pair_shifted_inside_its_surroundings_is_fused_alike(name: str) -> None:
    ir, vi = pair(1, 1, 200, 240, seed=3)
    fuse = BASELINES[name]
    whole, part = fuse(ir, vi), fuse(ir[..., 16:, 32:], vi[..., 16:, 32:])
    inner = (..., slice(80, -1), slice(80, -1))  # beyond the reach of the cut
    difference = (whole[..., 16:, 32:][inner] - part[inner]).abs()
    assert float(difference.max()) < (1e-5 if name == "laplacian" else 0.02)


@pytest.mark.parametrize("name", ["laplacian", "guided"])
def test_no_frame_shows_at_the_border(name: str) -> None:
    ir, vi = scene()
    fused = BaselineFuser(name, "cpu")(ir, vi)
    width = ir.shape[-1]
    ramp = fused[0, 0, 8, 1 : width // 4].diff()
    assert bool((ramp.diff().abs() < 0.01).all())  # smooth up to the border, as both sources are
    assert float((fused[..., 0, :] - fused[..., 1, :]).abs().max()) < 0.02


def test_the_hot_square_and_the_stripes_are_both_seen() -> None:
    ir, vi = scene()
    for name in ("laplacian", "guided"):
        fused = BaselineFuser(name, "cpu")(ir, vi)[0, 0]
        assert float(fused[25, 25] - fused[25, 12]) > 0.3
        assert float((fused[6, 50] - fused[2, 50]).abs()) > 0.05


def test_the_hash_names_method_and_version(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {baseline_hash(name) for name in NAMES}
    assert len(hashes) == 4
    assert BaselineFuser("mean", "cpu").model_hash in hashes
    monkeypatch.setattr(baselines, "BASELINE_VERSION", 2)
    assert baseline_hash("mean") not in hashes


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_another_precision_is_refused(precision: str) -> None:
    with pytest.raises(SettingsError, match="computes in fp32 only"):
        BaselineFuser("mean", "cpu", precision)  # type: ignore[arg-type]
    assert BaselineFuser("mean", "cpu", "auto").precision == "fp32"


def test_other_shapes_and_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="expected two equal shapes"):
        BaselineFuser("mean", "cpu")(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4))
    with pytest.raises(SettingsError, match="device is 'abacus'"):
        BaselineFuser("mean", "abacus")
