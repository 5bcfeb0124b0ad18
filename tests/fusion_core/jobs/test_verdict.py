"""Who is blamed for every kind of error, and whether that is for good."""

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fusion_core import errors
from fusion_core.archive.plan import PairRef
from fusion_core.archive.schema import CAUSES
from fusion_core.errors import (
    ArchivedError,
    CrashError,
    DeadlineError,
    DecodeError,
    EncodeError,
    FuseArchiveError,
    GpuFaultError,
    MemoryExhaustedError,
    MetricError,
    MisalignedError,
    OverlapError,
    PairError,
    ReadError,
    SameFileError,
    ScratchError,
    SizeMismatchError,
    SourceChangedError,
    StorageError,
    UnreachableError,
    UnsupportedSizeError,
    WeightsError,
    WriteError,
)
from fusion_core.images.gdal_errors import GdalOutOfMemoryError
from fusion_core.jobs.verdict import Cause, Verdict, cause_of, judge

REF = PairRef("a", "ir/a.png", 1, "1", "vi/a.png", 1, "1")

# A class without a line here fails test_every_error_that_a_pair_may_meet_has_a_line.
TABLE: dict[type[Exception], tuple[str, str]] = {
    ArchivedError: ("skipped", "archive"),
    SourceChangedError: ("undone", "archive"),
    ReadError: ("undone", "store"),
    WriteError: ("undone", "store"),
    StorageError: ("undone", "store"),
    UnreachableError: ("undone", "store"),
    DecodeError: ("failed", "pair"),
    SizeMismatchError: ("failed", "pair"),
    SameFileError: ("failed", "pair"),
    OverlapError: ("failed", "pair"),
    MisalignedError: ("failed", "pair"),
    EncodeError: ("failed", "pair"),
    UnsupportedSizeError: ("failed", "pair"),
    MemoryExhaustedError: ("undone", "memory"),
    DeadlineError: ("undone", "time"),
    MetricError: ("undone", "worker"),
    ScratchError: ("undone", "worker"),
    CrashError: ("undone", "worker"),
    PairError: ("undone", "worker"),
    # No error of this project.
    MemoryError: ("undone", "memory"),
    torch.OutOfMemoryError: ("undone", "memory"),
    RuntimeError: ("undone", "worker"),
    OSError: ("undone", "worker"),
    ValueError: ("undone", "worker"),
}
FINAL = [kind for kind, (status, _) in TABLE.items() if status == "failed"]
# What ends a run, a process or a training before any row is written of it.
NO_ROW = {
    GpuFaultError,
    WeightsError,
    errors.SettingsError,
    errors.ExpectationError,
    errors.OutputBusyError,
    errors.LeaseLostError,
    errors.RunDeadlineError,
    errors.ManifestError,
    errors.TooManyFailuresError,
    errors.TrainingError,
    FuseArchiveError,
}


def judged(
    error: Exception, *, ref: PairRef = REF, max_attempts: int = 5, cause: Cause | None = None
) -> Verdict:
    return judge(ref, error, stage="fuse", where="n1", max_attempts=max_attempts, cause=cause)


def kinds_below(kind: type[Exception]) -> Iterator[type[Exception]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds_below(below)


@pytest.mark.parametrize("kind", TABLE)
def test_every_error_is_blamed_on_somebody(kind: type[Exception]) -> None:
    verdict = judged(kind("what was found"))
    assert (verdict.status, verdict.cause) == TABLE[kind]
    assert verdict.cause in CAUSES
    assert (verdict.error_type, verdict.message) == (kind.__name__, "what was found")
    assert verdict.stage == (kind.stage if issubclass(kind, PairError) else "fuse")


def test_every_error_that_a_pair_may_meet_has_a_line() -> None:
    ours = {kind for kind in kinds_below(FuseArchiveError) if kind.__module__ == errors.__name__}
    assert ours - TABLE.keys() == NO_ROW


def test_the_stage_of_one_error_may_be_another_than_its_classs() -> None:
    error = MemoryExhaustedError("no room")
    error.stage = "score"
    assert judged(error).stage == "score"


# What looks like a fault of the pair, and was made of a fault of the machine


def made_of(kind: type[Exception], *links: BaseException) -> Exception:
    """Return an error that was raised from the first link, which was raised from the next …"""
    error = kind("the image is damaged")
    last: BaseException = error
    for link in links:
        last.__cause__ = link
        last = link
    return error


@pytest.mark.parametrize("kind", FINAL)
def test_a_codec_that_a_machine_lacks_blames_the_worker(kind: type[Exception]) -> None:
    verdict = judged(made_of(kind, ValueError("odd"), ImportError("no libwebp")))
    assert (verdict.status, verdict.cause) == ("undone", "worker")


@pytest.mark.parametrize("kind", FINAL)
def test_a_machine_without_room_for_a_thread_blames_the_worker(kind: type[Exception]) -> None:
    verdict = judged(made_of(kind, OSError("broken"), RuntimeError("can't start new thread")))
    assert (verdict.status, verdict.cause) == ("undone", "worker")


@pytest.mark.parametrize("kind", FINAL)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.ESTALE])
@pytest.mark.parametrize("between", [[], [ValueError("odd")], [OSError("broken"), KeyError("k")]])
def test_a_disk_that_fails_at_any_depth_blames_the_worker(
    kind: type[Exception], number: int, between: list[Exception]
) -> None:
    verdict = judged(made_of(kind, *between, OSError(number, "the disk")))
    assert (verdict.status, verdict.cause) == ("undone", "worker")
    assert verdict.history == f"worker at {verdict.stage} on n1"


@pytest.mark.parametrize("kind", FINAL)
@pytest.mark.parametrize(
    "link",
    [
        MemoryError("Unable to allocate 9. GiB"),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        GdalOutOfMemoryError(3, 2, "cannot allocate 9 GB"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_want_of_memory_under_a_fault_of_the_pair_blames_memory(
    kind: type[Exception], link: Exception
) -> None:
    verdict = judged(made_of(kind, ValueError("odd"), link))
    assert (verdict.status, verdict.cause) == ("undone", "memory")


@pytest.mark.parametrize("kind", FINAL)
@pytest.mark.parametrize(
    "link",
    [
        OSError("image file is truncated"),  # Pillow's, which names no error of the system
        ValueError("no PNG"),
        SyntaxError("broken PNG file"),
    ],
)
def test_what_a_decoder_says_of_the_bytes_stays_a_verdict_on_the_pair(
    kind: type[Exception], link: Exception
) -> None:
    verdict = judged(made_of(kind, link))
    assert (verdict.status, verdict.cause, verdict.history) == ("failed", "pair", None)


# Attempts


def test_causes_gather_until_the_pair_is_given_up() -> None:
    ref, seen = REF, []
    causes: list[Cause] = ["worker", "gpu", "memory"]
    for number, cause in enumerate(causes):
        verdict = judged(CrashError("killed"), ref=ref, max_attempts=3, cause=cause)
        seen.append(verdict.status)
        assert verdict.cause == cause
        ref = replace(ref, tries=number + 1, attempt=number + 2, history=verdict.history)
    assert seen == ["undone", "undone", "failed"]
    history = "worker at crash on n1; gpu at crash on n1; memory at crash on n1"
    assert verdict.history == history
    assert verdict.message == f"given up after 3 attempts ({history}); the last: killed"


def test_a_pair_that_may_be_tried_once_fails_at_the_first_attempt() -> None:
    verdict = judged(WriteError("the disk is full"), max_attempts=1)
    assert (verdict.status, verdict.cause) == ("failed", "store")
    assert verdict.message.startswith("given up after 1 attempts (store at write on n1); the last")


def test_a_verdict_on_the_pair_stands_at_once_and_keeps_the_causes_before_it() -> None:
    ref = replace(REF, tries=1, history="worker at crash on n1")
    verdict = judged(DecodeError("no image"), ref=ref)
    assert (verdict.status, verdict.message) == ("failed", "no image")
    assert verdict.history == "worker at crash on n1; pair at decode on n1"


@pytest.mark.parametrize("kind", [ArchivedError, SourceChangedError])
def test_what_the_archive_is_to_blame_for_never_fails_for_good(kind: type[Exception]) -> None:
    ref = replace(REF, tries=99, history="store at read on n1")
    assert judged(kind("gone"), ref=ref, max_attempts=3).status == TABLE[kind][0] != "failed"


def test_what_was_not_begun_names_no_stage() -> None:
    ref = replace(REF, archived="GLACIER")
    verdict = judged(ArchivedError("archived"), ref=ref)
    assert (verdict.status, verdict.stage) == ("skipped", None)


def test_messages_and_histories_have_an_end() -> None:
    ref = replace(REF, tries=400, history="; ".join(f"worker at read on m{k}" for k in range(400)))
    verdict = judged(ReadError("x" * 5000), ref=ref, max_attempts=999)
    assert len(verdict.message) == 2000
    assert verdict.history is not None
    assert len(verdict.history) == 1000
    assert verdict.history.endswith("worker at read on m399; store at read on n1")


@given(
    kind=st.sampled_from(list(TABLE)),
    tries=st.integers(0, 20),
    max_attempts=st.integers(1, 20),
    history=st.one_of(st.none(), st.text("abc; ", min_size=1, max_size=50)),
)
def test_only_the_pair_or_too_many_attempts_end_it(
    kind: type[Exception], tries: int, max_attempts: int, history: str | None
) -> None:
    ref = replace(REF, tries=tries, history=history)
    verdict = judged(kind("found"), ref=ref, max_attempts=max_attempts)
    status, cause = TABLE[kind]
    spent = status == "undone" and cause != "archive" and tries + 1 >= max_attempts
    assert verdict.status == ("failed" if spent else status)
    assert verdict.message.startswith("given up after") == spent
    assert verdict.cause == cause == cause_of(kind("found"))
    if history:
        assert verdict.history is not None
        assert verdict.history.startswith(f"{history}; ")
