"""What is foreseen of memory, so that it never runs out; that it does all the same is elsewhere."""

import numpy as np
import pytest
from fixed_budget import budget_for
from generated_scenes import texture
from numpy.typing import NDArray
from tiny import tiny_fuser
from torch import Tensor

from fusion_core.models.baselines import BASELINES, BaselineFuser
from fusion_core.models.fuser import load_fuser
from fusion_core.models.network_config import NetworkConfig
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.tiling.batches import PhotographFuser
from fusion_core.models.tiling.room import Room

EXPECTED = "fused in tiles of {} pixels, because memory was expected to run out"
ELSEWHERE = "fused in tiles of {} pixels, because memory ran out in another worker"


class Mean:
    """The mean of both images; takes 100 bytes a pixel.

    Attributes:
        shapes: What it was called with, (B, H, W).
    """

    name, device, precision, model_hash = "mean", "cpu", "fp32", "0"
    engine = "eager"
    receptive_radius, bytes_per_pixel = 8, 100

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int, int]] = []
        self.given_back = 0

    def give_back(self) -> None:
        self.given_back += 1

    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        batch, _, height, width = ir.shape
        self.shapes.append((batch, height, width))
        return (ir + vi) / 2


def room_for(fuser: Mean, pixels: float, beside: int = 0) -> Room:
    return Room(fuser, budget_for(100 * pixels, beside), beside)


def images(*shape: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    rng = np.random.default_rng(3)
    return rng.random(shape, np.float32), rng.random(shape, np.float32)


def test_no_batch_is_larger_than_what_is_expected_to_fit() -> None:
    fuser = Mean()
    photographs = PhotographFuser(fuser, 8, 128, room_for(fuser, 2 * 20 * 30))
    ir, vi = images(7, 20, 30)
    fused = photographs.fuse(ir, vi)
    assert fuser.shapes == [(2, 20, 30), (2, 20, 30), (2, 20, 30), (1, 20, 30)]
    assert [remark for _, remark in fused] == [None] * 7
    np.testing.assert_allclose(np.stack([image for image, _ in fused]), (ir + vi) / 2)
    assert photographs.batch_size == 8  # smaller photographs may fill it


def test_what_does_not_fit_alone_is_fused_in_the_largest_tiles_that_do_and_never_whole() -> None:
    fuser = Mean()
    photographs = PhotographFuser(fuser, 2, 768, room_for(fuser, 260 * 260))
    ir, vi = images(2, 500, 420)
    fused = photographs.fuse(ir, vi)
    assert [remark for _, remark in fused] == [EXPECTED.format(192)] * 2
    assert max(height * width for _, height, width in fuser.shapes) <= 260 * 260
    np.testing.assert_allclose(np.stack([image for image, _ in fused]), (ir + vi) / 2, atol=1e-6)


def test_the_pixels_of_other_threads_are_left_room() -> None:
    fuser = Mean()
    room = room_for(fuser, 20 * 30, beside=5000)
    assert room.holds(20 * 30)
    assert not Room(fuser, room.budget, beside=5100).holds(20 * 30)


def test_where_not_even_the_smallest_tiles_are_expected_to_fit_they_are_tried() -> None:
    fuser = Mean()
    ((_, remark),) = PhotographFuser(fuser, 1, 768, room_for(fuser, 1)).fuse(*images(1, 300, 400))
    assert remark == EXPECTED.format(128)


def test_what_ended_another_worker_is_fused_in_smaller_tiles_though_it_is_expected_to_fit() -> None:
    fuser = Mean()
    photographs = PhotographFuser(fuser, 8, 512, room_for(fuser, 1 << 30))
    fused = photographs.fuse(*images(2, 300, 600), in_tiles=True)
    assert [remark for _, remark in fused] == [ELSEWHERE.format(256)] * 2
    assert {batch for batch, _, _ in fuser.shapes} == {1}
    ((_, remark),) = photographs.fuse(*images(1, 30, 40), in_tiles=True)
    assert remark == ELSEWHERE.format(128)


def test_what_is_kept_is_given_back_before_anything_is_fused_in_tiles() -> None:
    fuser = Mean()
    wide, narrow = Room(fuser, budget_for(400 * 300 * 100)), Room(fuser, budget_for(100))
    assert wide.holds(400 * 300)
    assert fuser.given_back == 0
    assert not narrow.holds(400 * 300)
    assert fuser.given_back == 1


def test_without_a_budget_everything_is_tried() -> None:
    fuser = Mean()
    PhotographFuser(fuser, 4, 128).fuse(*images(4, 300, 400))
    assert fuser.shapes == [(4, 300, 400)]


def test_a_network_pools_over_patches_that_are_expected_to_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fuser = load_fuser(device="cpu", precision="fp32")
    assert isinstance(fuser, NetworkFuser)
    pooled: list[int] = []
    pool = fuser.pool

    def seen(ir: Tensor, vi: Tensor, height: int, width: int) -> object:
        pooled.append(ir.shape[-1])
        return pool(ir, vi, height, width)

    monkeypatch.setattr(fuser, "pool", seen)
    # Patches of 32 pixels give 768 columns of the 60 rows, and a tile has 60 rows and 240 columns.
    room = Room(fuser, budget_for(60 * 770 * fuser.pool_bytes_per_pixel))
    ir, vi = (texture(seed, (60, 1600)).astype(np.float32)[None] for seed in (5, 8))
    ((_, remark),) = PhotographFuser(fuser, 1, 128, room).fuse(ir, vi)
    assert remark == EXPECTED.format(128)
    assert pooled == [768]
    PhotographFuser(fuser, 1, 256, Room(fuser)).fuse(ir, vi, in_tiles=True)
    assert pooled == [768, 768]


def test_what_a_network_takes_follows_its_width_depth_and_precision() -> None:
    assert 1700 < NetworkConfig().bytes_per_pixel(4) < 1850
    assert 900 < NetworkConfig().bytes_per_pixel(2) < 1000
    half = NetworkConfig(widths=(32, 32, 32, 64, 64), decoder_width=32)
    assert half.bytes_per_pixel(4) == pytest.approx(NetworkConfig().bytes_per_pixel(4) / 2, rel=0.1)
    assert NetworkConfig(levels=1).bytes_per_pixel(4) < NetworkConfig().bytes_per_pixel(4)
    assert tiny_fuser().bytes_per_pixel < 300
    assert load_fuser(device="cpu", precision="bf16", engine="eager").bytes_per_pixel < 1000


def test_every_baseline_says_what_it_takes() -> None:
    assert all(BaselineFuser(name, "cpu").bytes_per_pixel > 4 for name in BASELINES)
