import pytest
import torch
from torch import Tensor

from fusion_core.models.fuser import Fuser
from fusion_core.models.tiling import timing


class Counted:
    """Notes what it is given; its clock goes on by a second at each call."""

    receptive_radius = 20

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        self.shapes.append(tuple(ir.shape))
        return torch.zeros_like(vi)

    def clock(self) -> float:
        return float(len(self.shapes))


def test_a_pixel_takes_its_share_of_a_tile_and_of_what_is_read_around_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fuser: Counted = Counted()
    monkeypatch.setattr(timing.time, "perf_counter", fuser.clock)
    as_fuser: Fuser = fuser  # type: ignore[assignment]
    assert timing.seconds_per_pixel(as_fuser, 128) == 1 / 128**2
    # 128 and a margin of 48 on either side: once to warm up, once timed.
    assert fuser.shapes == [(1, 1, 224, 224)] * 2
