"""Stages of a pipeline that only take time, for its tests."""

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.archive.plan import PairRef
from fusion_core.errors import DecodeError, WriteError
from fusion_core.images.pair import PicturePair
from fusion_core.images.picture import Picture
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.pipeline import BYTES_PER_PIXEL, run_pipeline
from fusion_core.jobs.stages import Outcome, Outcomes, PairStages, PipelineLimits
from fusion_core.settings.scaling import ScalingSettings

Shape = tuple[int, int]


class Stages:
    """Stages that only take time, and note what passed through them.

    Args:
        shapes: Shape of every pair by its id.
        seconds: How long loading, fusing a batch, and finishing take.
        failing: Ids of the pairs that fail, by stage.
    """

    def __init__(
        self,
        shapes: dict[str, Shape],
        seconds: tuple[float, float, float] = (0, 0, 0),
        failing: dict[str, Sequence[str]] | None = None,
    ):
        self.shapes, self.seconds, self.failing = shapes, seconds, failing or {}
        self.batches: list[list[str]] = []
        self.lock = threading.Lock()
        self.alive = self.most_alive = 0

    def pairs(self, file_bytes: Callable[[Shape], int] = lambda shape: 1) -> list[PairState]:
        return [
            PairState(PairRef(name, f"{name}.ir", file_bytes(shape), "1", f"{name}.vi", 0, "1"))
            for name, shape in self.shapes.items()
        ]

    def load(self, pair: PairState) -> None:
        with pair.timed("decode"):
            time.sleep(self.seconds[0])
            pixels = np.zeros(self.shapes[pair.ref.pair_id], np.uint8)
            size = pixels.size * BYTES_PER_PIXEL
            self._count(size)
            weakref.finalize(pixels, self._count, -size)
            if pair.ref.pair_id in self.failing.get("load", ()):
                raise DecodeError("no image")
        pair.loaded = PicturePair.of(Picture(pixels), Picture(pixels), ScalingSettings())

    def _count(self, size: int) -> None:
        with self.lock:
            self.alive += size
            self.most_alive = max(self.most_alive, self.alive)

    def fuse(self, batch: Sequence[PairState]) -> NDArray[np.float32]:
        time.sleep(self.seconds[1])
        names = [pair.ref.pair_id for pair in batch]
        if set(names) & set(self.failing.get("fuse", ())):
            raise RuntimeError("no such kernel")
        self.batches.append(names)
        values = [np.full(pair.shape, hash(pair.ref.pair_id) % 997, np.float32) for pair in batch]
        return np.stack(values)

    def finish(self, pair: PairState, fused: NDArray[np.float32]) -> dict[str, Any]:
        time.sleep(self.seconds[2])
        if pair.ref.pair_id in self.failing.get("finish", ()):
            raise WriteError("the disk is full")
        assert fused.shape == pair.shape
        return {"value": float(fused[0, 0])}

    def run(
        self,
        pairs: list[PairState] | None = None,
        batch_size: int = 4,
        threads: int = 2,
        memory: int = 1 << 30,
        deadline: float = 1e4,
        **others: Any,
    ) -> list[Outcome[PairState]]:
        """Run them; ``others`` take the place of the stages that they are named after."""
        return self.run_all(
            pairs, batch_size, threads, memory, deadline, stopping=threading.Event(), **others
        ).of_pairs

    def run_all(
        self,
        pairs: list[PairState] | None = None,
        batch_size: int = 4,
        threads: int = 2,
        memory: int = 1 << 30,
        deadline: float = 1e4,
        *,
        stopping: threading.Event,
        **others: Any,
    ) -> Outcomes[PairState]:
        """Run them as ``run`` does, until they are told to stop; return all that is said."""
        own = {"load": self.load, "fuse": self.fuse, "finish": self.finish}
        limits = PipelineLimits(
            batch_size=batch_size, threads=threads, memory=memory, deadline=deadline
        )
        pairs = self.pairs() if pairs is None else pairs
        return run_pipeline(pairs, PairStages(**{**own, **others}), limits, stopping)


def named(count: int, shape: Shape = (4, 5)) -> dict[str, Shape]:
    return {f"p{index}": shape for index in range(count)}
