from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny import picture_pair, tiny_fuser, tiny_weights

import fusion_core
from fusion_core import api as library
from fusion_core.api import fuse
from fusion_core.errors import DecodeError, SettingsError, SizeMismatchError, WeightsError
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
    fused = fuse(ir, vi, model=weights, device="cpu", precision="fp32")
    assert fused.shape == vi.shape
    assert fused.dtype == vi.dtype


def test_the_luminance_is_the_networks(weights: str) -> None:
    ir, vi = muted_pair(1)
    sides = [torch.from_numpy(luminance(image))[None, None] for image in (ir, vi)]
    expected = tiny_fuser()(*sides)[0, 0].numpy()
    assert np.ptp(expected) > 0.1
    found = fuse(ir, vi, model=weights, device="cpu", precision="fp32")
    assert np.abs(luminance(found) - expected).max() <= 0.6 / 255


def test_rgb_keeps_its_chroma(weights: str) -> None:
    ir, vi = muted_pair(2)
    fused = fuse(ir, vi, model=weights, device="cpu", precision="fp32").astype(int)
    change = fused - vi
    assert np.abs(change).max() > 3  # something did change
    assert np.ptp(change, axis=-1).max() <= 1  # by the same in R, G and B: Cb and Cr are kept


def test_grey_in_three_channels_stays_grey(weights: str) -> None:
    ir, vi = picture_pair(3)
    grey = vi[..., 0]
    fused = fuse(ir, np.dstack([grey] * 3), model=weights, device="cpu", precision="fp32")
    assert (fused == fused[..., :1]).all()
    alone = fuse(ir, grey, model=weights, device="cpu", precision="fp32")
    assert np.abs(fused[..., 0].astype(int) - alone).max() <= 1


def test_alpha_is_carried_over_and_changes_nothing_else(weights: str) -> None:
    ir, vi = picture_pair(4)
    alpha = np.random.default_rng(4).integers(0, 255, vi.shape[:2], np.uint8)
    fused = fuse(ir, np.dstack([vi, alpha]), model=weights, device="cpu", precision="fp32")
    np.testing.assert_array_equal(fused[..., 3], alpha)
    np.testing.assert_array_equal(
        fused[..., :3], fuse(ir, vi, model=weights, device="cpu", precision="fp32")
    )


def test_16_bits_are_more_than_8_bits_times_257(weights: str) -> None:
    ir, vi = (image.astype(np.uint16) * 257 for image in picture_pair(5))
    deep = fuse(ir, vi, model=weights, device="cpu", precision="fp32")
    shallow = fuse(*picture_pair(5), model=weights, device="cpu", precision="fp32")
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
        fuse(ir[::-1, ::2], vi[::-1, ::2], model=weights, device="cpu", precision="fp32"), expected
    )
    np.testing.assert_array_equal(ir, before[0])
    np.testing.assert_array_equal(vi, before[1])


def test_the_network_is_loaded_once(weights: str, tmp_path: Path) -> None:
    own = tmp_path / "own.safetensors"
    own.write_bytes(Path(weights).read_bytes())
    ir, vi = picture_pair(7)
    first = fuse(ir, vi, model=str(own), device="cpu", precision="fp32")
    own.unlink()
    np.testing.assert_array_equal(
        fuse(ir, vi, model=str(own), device="cpu", precision="fp32"), first
    )


def test_the_packaged_weights_are_the_default() -> None:
    ir, vi = picture_pair(8, (16, 16))
    fused = fusion_core.fuse(ir, vi, device="cpu", precision="fp32")
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
    with pytest.raises(DecodeError, match=rf"infrared .*type {bad.dtype}; expected \(H, W\)"):
        fuse(bad, good, model=weights)
    with pytest.raises(DecodeError, match="visible image is an array of shape"):
        fuse(good, bad, model=weights)


def test_infrared_with_alpha_is_refused(weights: str) -> None:
    with pytest.raises(DecodeError, match=r"infrared .*expected \(H, W\) or \(H, W, 3\), uint8"):
        fuse(np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 4), np.uint8), model=weights)


def test_different_sizes_are_refused_with_both(weights: str) -> None:
    with pytest.raises(SizeMismatchError, match="infrared is 5x4 and visible 4x5"):
        fuse(np.zeros((4, 5), np.uint8), np.zeros((5, 4, 3), np.uint8), model=weights)


def test_unusable_weights_and_devices_are_refused(weights: str, tmp_path: Path) -> None:
    ir, vi = picture_pair(9)
    with pytest.raises(WeightsError, match="No model at"):
        fuse(ir, vi, model=str(tmp_path / "none.safetensors"))
    with pytest.raises(SettingsError, match="device"):
        fuse(ir, vi, model=weights, device="abacus")
