"""The errors that stop a pair: as they are kept for its row, and the one of its deadline."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping

from fusion_core.errors import (
    DeadlineError,
    FuseArchiveError,
    GpuFaultError,
    MemoryExhaustedError,
    PairError,
    UnreachableError,
)
from fusion_core.jobs.pair import PairState
from fusion_core.models.gpu_fault import is_gpu_fault
from fusion_core.models.memory import is_disguised, is_out_of_memory, short_reason

log = logging.getLogger(__name__)
_SCENE_PIXELS = 100_000_000


def failed(pair: PairState, error: Exception) -> Exception:
    """Log the error that stopped a pair, and return it as it is kept until the chunk's commit.

    Raises:
        UnreachableError: It was this error, which is no pair's fault and stops the chunk.
        GpuFaultError: The GPU failed, likewise.
    """
    if isinstance(error, UnreachableError):
        raise error
    # By now, what cuDNN says in either case was met with no other pair in memory.
    if is_gpu_fault(error) or is_disguised(error):
        raise GpuFaultError(
            f"the GPU failed in the stage {pair.stage} of {pair.ref.pair_id}: "
            f"{short_reason(error)}; expected it to compute. The work goes to another; look at the "
            "driver's log (dmesg)"
        ) from error
    if is_out_of_memory(error):
        error = _memory_exhausted(pair.stage, error)
    # An error that wasn't foreseen is a bug, to be found by its traceback.
    unforeseen = None if isinstance(error, FuseArchiveError) else error
    stage = error.stage if isinstance(error, PairError) else pair.stage
    log.warning(
        "pair %s failed at %s: %s",
        *(pair.ref.pair_id, stage, error),
        exc_info=unforeseen,
        extra={"pair_id": pair.ref.pair_id},
    )
    drop_tracebacks(error)
    return error


def _memory_exhausted(stage: str, error: Exception) -> MemoryExhaustedError:
    named = MemoryExhaustedError(
        f"memory ran out in the stage {stage} ({short_reason(error)}), also with no other pair in "
        "memory; expected room for it. Leave each worker more (fewer workers on a machine), or "
        "keep photographs of that size out by max_megapixels"
    )
    named.stage = stage
    return named


def drop_tracebacks(error: BaseException) -> None:
    """Drop the frames that an error passed through: they hold the pair's files and pixels."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__


class SceneDeadline:
    """The deadline by which a scene's last tile has to be written; made when its fusing begins.

    Args:
        seconds: What is allowed for every 100 megapixels begun.
        size: Height and width of the scene.
        earlier: Seconds that the scene's earlier stages took, by stage.
    """

    def __init__(self, seconds: float, size: tuple[int, int], earlier: Mapping[str, float]):
        self.allowed = seconds * math.ceil(size[0] * size[1] / _SCENE_PIXELS)
        self._earlier = dict(earlier)
        self._begun = time.monotonic()

    def check(self) -> None:
        """Check that there is time left.

        Raises:
            DeadlineError: There is none.
        """
        seconds = {**self._earlier, "fuse": time.monotonic() - self._begun}
        if sum(seconds.values()) > self.allowed:
            raise deadline_error("fuse", seconds, self.allowed)


def deadline_error(stage: str, seconds: Mapping[str, float], allowed: float) -> DeadlineError:
    """Return the error of a pair that took too long.

    Args:
        stage: The stage that it was in.
        seconds: What its stages took, with that of ``stage`` so far.
        allowed: What they may take together, in seconds.
    """
    spent = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    error = DeadlineError(
        f"given up in the stage {stage} ({spent}); expected all stages within {allowed:g} s. Check "
        "whether the store hangs or the machine is overloaded, or raise pair_deadline"
    )
    error.stage = stage
    return error
