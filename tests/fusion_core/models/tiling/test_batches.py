import logging
from collections.abc import Callable

import numpy as np
import pytest
import torch
from generated_scenes import texture
from numpy.typing import NDArray
from tiny import tiny_fuser
from torch import Tensor

from fusion_core.errors import MemoryExhaustedError, WeightsError
from fusion_core.models.baselines import BaselineFuser
from fusion_core.models.fuser import Fuser, load_fuser
from fusion_core.models.memory import tiles_remark
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import TilePooling
from fusion_core.models.tiling.batches import LuminancePair, PhotographFuser, fuse_in_tiles
from fusion_core.models.tiling.grid import cut_tiles
from fusion_core.models.tiling.tile_fuser import tile_fuser

ERRORS: dict[str, Callable[[], Exception]] = {
    "GPU": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    "CPU": lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"),
    "NumPy": lambda: MemoryError("Unable to allocate 9. GiB"),
}


class Cramped:
    """The mean of both images, on a device that holds so many pixels of a batch.

    Attributes:
        shapes: What it was called with, (B, H, W).
    """

    name, device, precision, model_hash = "mean", "cpu", "fp32", "0"
    engine = "eager"
    receptive_radius, bytes_per_pixel = 8, 100

    def __init__(self, room: int, error: str = "GPU"):
        self.room, self.error = room, ERRORS[error]
        self.shapes: list[tuple[int, int, int]] = []

    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        batch, _, height, width = ir.shape
        self.shapes.append((batch, height, width))
        if batch * height * width > self.room:
            raise self.error()
        return (ir + vi) / 2

    def give_back(self) -> None:
        """Nothing is kept."""

    def batches(self) -> list[int]:
        return [batch for batch, _, _ in self.shapes]


def images(*shape: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(3)
    return rng.random(shape, np.float32), rng.random(shape, np.float32)


def cramped(fuser: NetworkFuser, room: int) -> NetworkFuser:
    """Give a network's own fuser room for so many pixels."""
    fuse = fuser._engine.fuse

    def refuse(ir: Tensor, vi: Tensor, *pooling: TilePooling | None) -> Tensor:
        if ir.numel() > room:
            raise torch.OutOfMemoryError("no room")
        return fuse(ir, vi, *pooling)

    fuser._engine.fuse = refuse  # type: ignore[method-assign]
    return fuser


def in_tiles(pair: LuminancePair, fuser: Fuser, size: int) -> NDArray[np.float32]:
    tiles = cut_tiles(*pair.size, size, fuser.receptive_radius)
    return fuse_in_tiles(pair, tile_fuser(pair, fuser), tiles)


def levels(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return 255 * np.abs(a - b)


# Batches


@pytest.mark.parametrize("error", ERRORS)
def test_a_batch_is_halved_until_it_fits_and_stays_small(
    error: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    fuser = Cramped(2 * 20 * 30, error)
    photographs = PhotographFuser(fuser, 8, 128)
    ir, vi = images(8, 20, 30)
    fused = photographs.fuse(ir, vi)
    assert fuser.batches() == [8, 4, 2, 2, 2, 2]
    assert photographs.batch_size == 2
    assert [remark for _, remark in fused] == [None] * 8
    np.testing.assert_allclose(np.stack([image for image, _ in fused]), (ir + vi) / 2)
    assert [message for message in caplog.messages if "from here" in message] == [
        "batches have 4 pairs from here on",
        "batches have 2 pairs from here on",
    ]
    fuser.shapes.clear()
    photographs.fuse(*images(7, 10, 30))  # smaller ones would have fitted
    assert fuser.batches() == [2, 2, 2, 1]


def test_a_batch_that_is_not_full_is_halved_by_what_it_holds() -> None:
    fuser = Cramped(20 * 30)
    photographs = PhotographFuser(fuser, 8, 128)
    assert len(photographs.fuse(*images(3, 20, 30))) == 3
    assert fuser.batches() == [3, 1, 1, 1]


def test_without_need_nothing_is_halved() -> None:
    fuser = Cramped(1 << 30)
    photographs = PhotographFuser(fuser, 4, 128)
    photographs.fuse(*images(6, 20, 30))
    assert fuser.batches() == [4, 2]
    assert photographs.batch_size == 4


def test_a_networks_batches_in_halves_are_what_they_are_whole() -> None:
    ir, vi = images(5, 16, 20)
    expected = PhotographFuser(tiny_fuser(), 8, 128).fuse(ir, vi)
    small = PhotographFuser(cramped(tiny_fuser(), 2 * 32 * 36), 8, 128)
    for (image, remark), (other, _) in zip(small.fuse(ir, vi), expected, strict=True):
        np.testing.assert_allclose(image, other, atol=1e-5)
        assert remark is None
    assert small.batch_size == 2


# Tiles


@pytest.mark.parametrize("error", ERRORS)
def test_a_pair_that_does_not_fit_alone_is_fused_in_tiles(error: str) -> None:
    fuser = Cramped(190 * 190, error)  # tiles of 192 are 208x240 with what is around them
    photographs = PhotographFuser(fuser, 2, 768)
    ir, vi = images(2, 500, 400)
    fused = photographs.fuse(ir, vi)
    assert [remark for _, remark in fused] == [tiles_remark(128)] * 2
    np.testing.assert_allclose(np.stack([image for image, _ in fused]), (ir + vi) / 2, atol=1e-6)
    wholes = [shape for shape in fuser.shapes if shape[1:] == (500, 400)]
    assert wholes == [(2, 500, 400), (1, 500, 400), (1, 500, 400)]
    assert max(height * width for _, height, width in fuser.shapes[-16:]) <= 190 * 190


def test_the_next_photograph_is_tried_whole_again() -> None:
    fuser = Cramped(250 * 250)
    photographs = PhotographFuser(fuser, 1, 256)
    remarks = [photographs.fuse(*images(1, *shape))[0][1] for shape in ((400, 300), (200, 200))]
    assert remarks == [tiles_remark(256), None]


def test_tiles_begin_below_the_size_of_the_image() -> None:
    fuser = Cramped(1)
    with pytest.raises(MemoryExhaustedError):
        PhotographFuser(fuser, 1, 8192).fuse(*images(1, 300, 600))
    # whole, then the first tile of 512, 256 and 128 with what is around it
    assert fuser.shapes == [(1, 300, 600), (1, 300, 336), (1, 192, 240), (1, 144, 160)]


def test_what_fits_in_no_tile_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(MemoryExhaustedError) as raised:
        PhotographFuser(Cramped(100), 8, 768).fuse(*images(3, 40, 30))
    message = str(raised.value)
    assert "memory ran out on cpu for a pair of 30x40 pixels in tiles of 128" in message
    assert "fewer workers" in message


def test_other_errors_are_not_answered_by_smaller_pieces() -> None:
    fuser = Cramped(0)
    fuser.error = lambda: WeightsError("the program failed")
    with pytest.raises(WeightsError):
        PhotographFuser(fuser, 8, 768).fuse(*images(3, 40, 30))
    assert fuser.batches() == [3]


@pytest.mark.parametrize("name", ["mean", "laplacian", "guided"])
def test_a_baseline_in_tiles_is_what_it_is_whole(name: str) -> None:
    fuser: Fuser = BaselineFuser(name, "cpu")
    ir, vi = images(1, 300, 410)
    ((whole, _),) = PhotographFuser(fuser, 1, 128).fuse(ir, vi)
    tiled = in_tiles(LuminancePair(ir[0], vi[0]), fuser, 128)
    np.testing.assert_allclose(tiled, whole, atol=2e-5)


def photograph(size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return texture(5, size).astype(np.float32), texture(8, size).astype(np.float32)


def exact(weights: str = "refinefuse") -> NetworkFuser:
    fuser = load_fuser(weights, device="cpu", precision="fp32")
    assert isinstance(fuser, NetworkFuser)
    return fuser


def large(weights: str) -> tuple[LuminancePair, NDArray[np.float32]]:
    """A photograph broader than 24 patches of 64, and what the network makes of the whole."""
    ir, vi = photograph((160, 1700))
    ((whole, _),) = PhotographFuser(exact(weights), 1, 768).fuse(ir[None], vi[None])
    return LuminancePair(ir, vi), whole


def test_a_photograph_in_tiles_is_nearly_what_the_network_makes_of_the_whole() -> None:
    ir, vi = photograph((200, 400))
    ((whole, _),) = PhotographFuser(exact(), 1, 768).fuse(ir[None], vi[None])
    tight = cramped(exact(), 42_000)  # padded, tiles of 192 read more, those of 128 less
    ((tiled, remark),) = PhotographFuser(tight, 1, 768).fuse(ir[None], vi[None])
    assert remark == tiles_remark(128)
    # It is no larger than its patches, so that it pools over the whole.
    assert levels(tiled, whole).max() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("patch", "weights"), [(64, "refinefuse"), (16, "refinefuse-1")])
def test_a_large_photograph_in_tiles_is_nearly_what_it_is_whole(
    monkeypatch: pytest.MonkeyPatch, patch: int, weights: str
) -> None:
    monkeypatch.setattr("fusion_core.models.tiling.tile_fuser.PATCH", patch)
    pair, whole = large(weights)
    found = levels(in_tiles(pair, exact(weights), 384), whole)
    # refinefuse: mean 0.25, 99th percentile 1.0, largest 1.5; with patches of 16, which are for
    # little memory, 0.66, 3.7 and 6.7, as its card says. refinefuse-1 on 1700x1800 pixels: 0.04,
    # 0.13 and 0.33; with patches of 16, 0.45, 1.5 and 2.9.
    assert found.mean() < 1
    assert np.percentile(found, 99) < 3
    assert found.max() < 6


def test_a_network_pools_over_smaller_patches_where_memory_does_not_hold_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fuser = exact()
    pooled: list[int] = []
    pool = fuser.pool

    def refuse(ir: Tensor, vi: Tensor, height: int, width: int) -> object:
        pooled.append(ir.shape[-1])
        if ir.shape[-1] > 400:
            raise torch.OutOfMemoryError("no room")
        return pool(ir, vi, height, width)

    monkeypatch.setattr(fuser, "pool", refuse)
    pair = LuminancePair(*photograph((60, 800)))
    assert in_tiles(pair, fuser, 128).shape == (60, 800)
    assert pooled == [800, 768, 384]  # 24 patches of 64 cover it, of 32 and of 16 don't
    monkeypatch.setattr(fuser, "cells", 100)
    with pytest.raises(MemoryExhaustedError, match="what 800x60 pixels share, in patches of 16"):
        in_tiles(pair, fuser, 128)
