"""Classifies the errors of stores and their clients, and translates them into the project's."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from fusion_core.errors import (
    ArchivedError,
    PairError,
    ReadError,
    SourceChangedError,
    StorageError,
    UnreachableError,
)
from fusion_core.storage.answers import (
    Answer,
    answer_of,
    chain_of,
    from_client,
    is_silence,
    lacks_credentials,
)

_PERMANENT = (
    FileNotFoundError,
    PermissionError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)
_PASSING_CODES = {
    "InternalError",  # S3 may say so in a body after it has begun a good answer
    "RequestTimeout",
    "SlowDown",
    "ConditionalRequestConflict",
    "OperationAborted",
    "BadDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
}
_PASSING_NUMBERS = {
    errno.EAGAIN,
    errno.EBUSY,
    errno.EINTR,
    errno.EIO,
    errno.ESTALE,
    errno.ETIMEDOUT,
    errno.ECONNRESET,
    errno.ECONNREFUSED,
    errno.ECONNABORTED,
    errno.EPIPE,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
}
_ESCAPED_NAME = re.compile(r"\\udc[89a-f][0-9a-f]")  # as listings show a byte that is not UTF-8
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
_LATER = {408, 429}
_NEVER = {501, 505}  # what the server doesn't know it won't know in a moment
_DENIED = {401, 403}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_CONDITION_CODES = {"PreconditionFailed", "ConditionNotMet", "BlobAlreadyExists"}
_ARCHIVED_CODES = {"InvalidObjectState", "BlobArchived"}  # of S3, of Azure


def fails_condition(error: BaseException) -> bool:
    """Tell whether a store refused to create what exists, or to read what has changed."""
    answer = answer_of(error)
    return answer is not None and (answer.status == 412 or answer.code in _CONDITION_CODES)


def is_archived(error: BaseException) -> bool:
    """Tell whether a store refused to read an object because it lies in an archive tier."""
    answer = answer_of(error)
    return answer is not None and answer.code in _ARCHIVED_CODES


def is_transient(error: BaseException) -> bool:
    """Tell whether the same call may succeed a moment later."""
    answer = answer_of(error)
    if answer is not None:
        passing = answer.status >= 500 and answer.status not in _NEVER
        return passing or answer.status in _LATER or answer.code in _PASSING_CODES
    if is_unanswered(error):
        return True
    return (
        isinstance(error, OSError)
        and not (isinstance(error, _PERMANENT) or lacks_credentials(error))
        and (error.errno is None or error.errno in _PASSING_NUMBERS)
    )


def is_unanswered(error: BaseException) -> bool:
    """Tell whether the store gave no whole answer: no connection, a stall, a broken body."""
    if lacks_credentials(error) or answer_of(error) is not None:
        return False
    return any(map(is_silence, chain_of(error)))


def translate_error(what: str, error: Exception, location: str, seconds: float) -> Exception:
    """Return the project's error for what a store or its client raised.

    Args:
        what: What was tried; completes "can't …".
        error: The error of the last attempt.
        location: Name of the store.
        seconds: How long it was tried.

    Returns:
        A StorageError; the error itself where callers tell it apart (there is no such object, the
        name is taken) or where it isn't a store's.
    """
    if isinstance(error, FileExistsError):
        return error
    if lacks_credentials(error):
        of_aws = any(type(seen).__module__.startswith("botocore.") for seen in chain_of(error))
        return StorageError(
            f"no {'AWS ' * of_aws}credentials were found for {location}, so can't {what}. Expected "
            "them in the environment, in a profile, by a role of this machine, or in the block "
            "that credentials_block names"
        )
    answer = answer_of(error)
    if answer is not None:
        return _translate_answer(what, error, answer)
    if isinstance(error, FileNotFoundError) and not is_unanswered(error):
        return error
    if isinstance(error, PermissionError):
        return _denied(what, error)
    told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if is_unanswered(error):
        return UnreachableError(
            f"can't {what}: {location} gave no whole answer for {seconds:.0f} s, at last {told}. "
            "Check that it is up and can be reached from here; the next run goes on where this "
            "one was"
        )
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return StorageError(
            f"can't {what}: {told}. Make room there, or make it writable; the next run goes on "
            "where this one was"
        )
    if isinstance(error, OSError) or from_client(error):
        return _failed(what, told)
    return error


def _translate_answer(what: str, error: Exception, answer: Answer) -> Exception:
    if answer.code in _NO_BUCKET:
        return StorageError(
            f"can't {what}: there is no such bucket. Check the URL, or make the bucket"
        )
    if answer.code in _ARCHIVED_CODES:
        return StorageError(
            f"can't {what}: it lies in an archive tier ({answer.storage_class or answer.code}); "
            "expected a storage class whose bytes can be read at once. Restore it; every run looks "
            "at it again"
        )
    if answer.status == 404:
        missing = isinstance(error, FileNotFoundError)
        return error if missing else FileNotFoundError(f"can't {what}: {answer.reason}")
    if isinstance(error, PermissionError) or answer.status in _DENIED:
        return _denied(what, answer.reason)
    return _failed(what, f"{type(error).__name__}: {answer.reason}")


def _denied(what: str, reason: object) -> StorageError:
    return StorageError(
        f"can't {what}: access denied ({reason}). Check the credentials and what they allow"
    )


def _failed(what: str, told: str) -> StorageError:
    return StorageError(f"can't {what}: {told}. Check that the store answers, and the credentials")


@contextmanager
def as_pair_error(kind: type[PairError]) -> Iterator[None]:
    """Turn a store's errors into the error of one pair, so that the others go on.

    A store that gives no answer at all fails all of them, so that error passes as it is. A source
    that can't be read because it lies in an archive tier has an error of its own.
    """
    try:
        yield
    except UnreachableError:
        raise
    except (StorageError, FileNotFoundError) as error:
        archived = is_archived(error) and issubclass(kind, ReadError)
        raise (ArchivedError if archived else kind)(f"{error}") from error


def gone(path: str) -> ReadError:
    """Return the error of a listed file that can't be found when it is to be read."""
    if _ESCAPED_NAME.search(path):
        return ReadError(
            f"{path} can't be opened: its name is not UTF-8, as names have to be, and is shown "
            "with escapes. Rename the file"
        )
    return SourceChangedError(
        f"{path} is gone; it was there when the archive was listed. The next run looks again"
    )


def changed(path: str, size: int, listed_size: int) -> SourceChangedError:
    """Return the error of a file that isn't what was listed any more; sizes are in bytes."""
    now = "other content than" if size == listed_size else f"{size} bytes and had {listed_size}"
    return SourceChangedError(
        f"{path} has {now} when the archive was listed, so it changed in between. The next run "
        "looks again"
    )
