"""Says what is to blame for an attempt that ended without a fused image, and whether for good.

A verdict on a pair is final only where its reason lies in the pair's bytes or the settings, and
would come again on any machine. Everything else is an attempt with its cause, to be tried again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fusion_core.archive.plan import PairRef
from fusion_core.errors import (
    ArchivedError,
    DeadlineError,
    DecodeError,
    EncodeError,
    MemoryExhaustedError,
    MisalignedError,
    OverlapError,
    PairError,
    ReadError,
    SameFileError,
    SizeMismatchError,
    SourceChangedError,
    StorageError,
    UnsupportedSizeError,
    WriteError,
)
from fusion_core.models.memory import is_out_of_memory

Cause = Literal["pair", "archive", "store", "worker", "gpu", "memory", "time"]

_OF_THE_PAIR = (
    *(DecodeError, SizeMismatchError, SameFileError, OverlapError, EncodeError),
    *(UnsupportedSizeError, MisalignedError),
)
_NO_THREAD = "can't start new thread"  # CPython has no class of its own for it
_LONGEST_HISTORY = 1000
_LONGEST_MESSAGE = 2000


def cause_of(error: BaseException) -> Cause:
    """Return what is to blame for an error that stopped a pair."""
    if isinstance(error, ArchivedError | SourceChangedError):
        return "archive"
    if isinstance(error, MemoryExhaustedError) or is_out_of_memory(error):
        return "memory"
    if isinstance(error, DeadlineError):
        return "time"
    if isinstance(error, ReadError | WriteError | StorageError):
        return "store"
    if isinstance(error, _OF_THE_PAIR) and not _of_the_machine(error):
        return "pair"
    return "worker"


@dataclass(frozen=True)
class Verdict:
    """How an attempt that is not ok stands in its row.

    Attributes:
        status: ``failed`` for good, ``undone`` to be tried again, or ``skipped``.
        cause: What is to blame.
        stage: Where it happened; None for what was not begun.
        error_type: Class of the error.
        message: What was found, what was expected, what to do.
        history: Causes of all attempts so far, where this isn't the first or there is no verdict.
    """

    status: Literal["failed", "undone", "skipped"]
    cause: Cause
    stage: str | None
    error_type: str
    message: str
    history: str | None


def judge(
    ref: PairRef,
    error: Exception,
    *,
    stage: str,
    where: str,
    max_attempts: int,
    cause: Cause | None,
) -> Verdict:
    """Judge an attempt at a pair.

    Args:
        ref: Which pair, and what was tried before.
        error: What stopped it.
        stage: The stage that it was in, unless the error names another.
        where: The machine, for the history.
        max_attempts: So many attempts without a verdict make the pair failed.
        cause: What is to blame. Default: what the error says.
    """
    cause = cause or cause_of(error)
    stage = error.stage if isinstance(error, PairError) else stage
    message, tries = str(error), ref.tries + 1
    told = f"{cause} at {stage} on {where}"
    history = f"{ref.history}; {told}" if ref.history else told
    if isinstance(error, ArchivedError):
        status: Literal["failed", "undone", "skipped"] = "skipped"
    elif cause == "pair":
        status, history = "failed", history if ref.history else ""
    elif tries < max_attempts or cause == "archive":
        status = "undone"
    else:
        status = "failed"
        message = f"given up after {tries} attempts ({history}); the last: {message}"
    return Verdict(
        status=status,
        cause=cause,
        stage=None if ref.archived else stage,
        error_type=type(error).__name__,
        message=message[:_LONGEST_MESSAGE],
        history=history[-_LONGEST_HISTORY:] or None,
    )


def _of_the_machine(error: BaseException) -> bool:
    """Tell whether an error of the pair was the machine's: its disk, codecs or threads."""
    link: BaseException | None = error.__cause__
    while link is not None:
        if isinstance(link, OSError) and link.errno is not None:
            return True
        if isinstance(link, ImportError):  # a codec that is not installed there
            return True
        if isinstance(link, RuntimeError) and _NO_THREAD in str(link):
            return True
        link = link.__cause__
    return False
