import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from generated_scenes import texture
from scene_measures import Image
from torch import Tensor

from fusion_core.errors import DecodeError, PairError, ReadError, WeightsError, WriteError
from fusion_core.models.tiling.grid import Tile, cut_tiles
from fusion_core.scenes.fusing import fuse_tiles
from fusion_core.scenes.pair import ScenePixels

WAIT = 20.0
"""Seconds after which a test gives up on what should happen at once."""


@dataclass
class Stages:
    """A scene whose reading, fusing and writing can be watched, slowed and made to fail.

    ``at`` is called with the stage and the number of the tile, before it is done.
    """

    at: Callable[[str, int], None]
    size: tuple[int, int] = (512, 640)
    log: list[tuple[str, int]] = field(default_factory=list)
    alive: int = 0
    most_alive: int = 0
    name: str = "fake"
    device: str = "cpu"
    precision: str = "fp32"
    model_hash: str = "0"
    receptive_radius: int = 0

    def __post_init__(self) -> None:
        self.tiles = cut_tiles(*self.size, 128, self.receptive_radius)
        self.image = texture(7, self.size).astype(np.float32)
        self._fused = 0
        self._lock = threading.Lock()

    def _reach_stage(self, stage: str, number: int) -> None:
        self.log.append((stage, number))
        self.at(stage, number)

    def read(self, window: tuple[slice, slice]) -> ScenePixels:
        number = [tile.read for tile in self.tiles].index(window)
        self._reach_stage("read", number)
        part = self.image[window]
        valid = np.ones(part.shape, bool)
        pixels = ScenePixels(
            bands=part[None],
            luminance=part.astype(float),
            ir=part,
            vi=part,
            vi_valid=valid,
            valid=valid,
        )
        with self._lock:
            self.alive += 1
            self.most_alive = max(self.most_alive, self.alive)
        weakref.finalize(pixels, self._forget)
        return pixels

    def _forget(self) -> None:
        with self._lock:
            self.alive -= 1

    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        number, self._fused = self._fused, self._fused + 1
        self._reach_stage("fuse", number)
        return (ir + vi) / 2

    def write(self, tile: Tile, pixels: ScenePixels, fused: Image) -> None:
        number = [other.final for other in self.tiles].index(tile.final)
        self._reach_stage("write", number)
        np.testing.assert_allclose(fused, self.image[tile.final], atol=1e-6)

    def run(self) -> None:
        pair: Any = self
        fuse_tiles(pair, pair, self.tiles, self.write)

    def order(self, stage: str) -> list[int]:
        return [number for found, number in self.log if found == stage]


def our_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith(("read_", "write_"))]


def test_all_tiles_are_read_fused_and_written_once_in_reading_order() -> None:
    stages = Stages(lambda *_: None)
    stages.run()
    for stage in ("read", "fuse", "write"):
        assert stages.order(stage) == list(range(20))
    assert our_threads() == []


def test_reading_fusing_and_writing_happen_in_the_same_moment() -> None:
    begun = {key: threading.Event() for key in (("fuse", 2), ("read", 4), ("write", 0))}
    in_time = []

    def at(stage: str, number: int) -> None:
        if (stage, number) in begun:
            begun[stage, number].set()
        if (stage, number) == ("write", 0):  # not written before the third is being fused,
            in_time.append(begun["fuse", 2].wait(WAIT))
        if (stage, number) == ("fuse", 2):  # which waits for the first write and the fifth read
            in_time.append(begun["write", 0].wait(WAIT))
            in_time.append(begun["read", 4].wait(WAIT))

    Stages(at).run()
    assert in_time == [True] * 3


def test_three_stages_take_little_longer_than_the_slowest() -> None:
    stages = Stages(lambda *_: time.sleep(0.02))
    start = time.perf_counter()
    stages.run()
    assert time.perf_counter() - start < 0.75 * 0.02 * 3 * 20


@pytest.mark.parametrize("slow", ["read", "fuse", "write"])
def test_so_many_tiles_are_in_memory_whatever_the_size_of_the_scene(slow: str) -> None:
    most = []
    for size in ((512, 640), (2048, 640)):
        stages = Stages(lambda stage, _: time.sleep(0.004) if stage == slow else None, size)
        stages.run()
        most.append(stages.most_alive)
        assert stages.alive <= 1
    # two read ahead and one on its way, one fused, two that wait to be written or are
    assert max(most) <= 6


def test_a_slow_store_holds_up_the_reading() -> None:
    """With the first write stuck, no more is read than may wait."""
    stuck, reads = threading.Event(), []

    def at(stage: str, number: int) -> None:
        if stage == "write" and number == 0:
            time.sleep(0.3)
            reads.extend(stages.order("read"))
            stuck.set()

    stages = Stages(at, (2048, 640))
    stages.run()
    assert stuck.is_set()
    assert len(reads) <= 6


@pytest.mark.parametrize(
    ("stage", "error"),
    [
        ("read", ReadError("the store is down")),
        ("read", DecodeError("a.tif is damaged")),
        ("fuse", WeightsError("no such size")),
        ("fuse", KeyboardInterrupt()),
        ("write", WriteError("the disk is full")),
    ],
)
@pytest.mark.parametrize("number", [0, 7, 19])
def test_an_error_ends_everything_and_is_the_one_that_is_raised(
    stage: str, error: BaseException, number: int
) -> None:
    def at(found: str, tile: int) -> None:
        if (found, tile) == (stage, number):
            raise error

    stages = Stages(at)
    with pytest.raises(type(error)) as raised:
        stages.run()
    assert raised.value is error
    assert our_threads() == []
    for later in ("read", "fuse", "write"):
        assert max(stages.order(later), default=0) <= number + 6
    # nothing goes on afterwards
    before = list(stages.log)
    time.sleep(0.02)
    assert stages.log == before


def test_the_first_of_two_errors_is_raised() -> None:
    def at(stage: str, number: int) -> None:
        if stage == "fuse" and number == 3:
            raise WeightsError("first")
        if stage == "read" and number == 5:
            time.sleep(0.05)
            raise ReadError("second")

    with pytest.raises((PairError, WeightsError), match="first"):
        Stages(at).run()


# What a scene gives its tiles
