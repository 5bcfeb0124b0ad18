"""What the pipeline is given and gives back: the stages of a pair, limits, and outcomes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fusion_core.jobs.pair import PairState
from fusion_core.settings.run import RunSettings

Work = TypeVar("Work", bound=PairState)
Fuse = Callable[[Sequence[Work]], Iterable[NDArray[np.float32]]]
Outcome = tuple[Work, dict[str, Any] | Exception]
"""A pair with the columns of its ok row, or with the error that stopped it."""


@dataclass
class Outcomes(Generic[Work]):
    """What became of pairs; those that it doesn't name were not begun, or not finished.

    Attributes:
        of_pairs: Each pair with the columns of its ok row, or the error that stopped it.
        alone: Those of a batch that hung, one of which did so.
        spoiled: Whether the thread that fuses hangs.
    """

    of_pairs: list[Outcome[Work]] = field(default_factory=list)
    alone: list[Work] = field(default_factory=list)
    spoiled: bool = False

    def add(self, other: Outcomes[Work]) -> None:
        """Add what became of other pairs."""
        self.of_pairs += other.of_pairs
        self.alone += other.alone
        self.spoiled = self.spoiled or other.spoiled


@dataclass(frozen=True)
class PairStages(Generic[Work]):
    """The functions that a pair goes through.

    Attributes:
        load: Reads and decodes a pair, in place.
        fuse: Turns loaded pairs of one shape (H, W) into their fused luminances (H, W); None
            where there is nothing to fuse.
        finish: Given a pair and its fused luminance (a pair alone where there is no ``fuse``),
            encodes, writes and scores one fused image; returns the row's columns.
        name: What the stage of ``fuse`` is called in rows and messages.
    """

    load: Callable[[Work], None]
    fuse: Fuse[Work] | None
    finish: Callable[..., dict[str, Any]]
    name: str = "fuse"


@dataclass(frozen=True, kw_only=True)
class PipelineLimits:
    """The limits of memory, threads and time for the pairs of a chunk.

    Attributes:
        batch_size: At most so many pairs in one call of ``fuse``.
        threads: Threads for loading, and as many for finishing.
        memory: Bound in bytes on what is loaded and not yet finished. A pair that is larger by
            itself is worked on alone.
        deadline: A pair is given up whose stages take more seconds than this; what it waits
            between them isn't counted, for that is no fault of its own.
    """

    batch_size: int
    threads: int
    memory: int
    deadline: float = math.inf

    @classmethod
    def of(cls, settings: RunSettings, *, batch_size: int) -> PipelineLimits:
        """Return the limits that a run's settings set."""
        return cls(
            batch_size=batch_size,
            threads=settings.io_threads,
            memory=settings.memory_mb << 20,
            deadline=settings.pair_deadline,
        )
