"""What is said and kept of the error that stopped a pair."""

from __future__ import annotations

import logging

from fusion_core.errors import (
    FuseArchiveError,
    MemoryExhaustedError,
    PairError,
    UnreachableError,
)
from fusion_core.jobs.pair import PairInWork
from fusion_core.models.memory import is_out_of_memory, short_reason

log = logging.getLogger(__name__)


def failed(pair: PairInWork, error: Exception) -> Exception:
    """Log the error that stopped a pair, and return it as it may wait for the chunk's commit.

    Raises:
        UnreachableError: That was the error, which is no pair's fault and stops the chunk.
    """
    if isinstance(error, UnreachableError):
        raise error
    if is_out_of_memory(error):
        error = _memory_exhausted(pair.stage, error)
    # An error that wasn't foreseen is a bug, to be found by its traceback.
    unforeseen = None if isinstance(error, FuseArchiveError) else error
    stage = error.stage if isinstance(error, PairError) else pair.stage
    log.warning("pair %s failed at %s: %s", pair.ref.pair_id, stage, error, exc_info=unforeseen)
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
    """Let go of the frames that an error passed through: they hold the pair's files and pixels."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
