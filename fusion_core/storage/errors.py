"""Classifies the errors of stores and their clients, and translates them into the project's."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fusion_core.errors import PairError, ReadError, StorageError, UnreachableError

_PERMANENT = (
    FileNotFoundError,
    PermissionError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)
_PASSING_CODES = {
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
_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError")


def s3_code(error: BaseException) -> str | None:
    """Return the S3 error code behind an exception, looking through its causes."""
    response = _response(error)
    return None if response is None else str(response.get("Error", {}).get("Code", "")) or None


def is_lost_race(error: BaseException) -> bool:
    """Tell whether a store refused a conditional write because the object exists."""
    return s3_code(error) in {"PreconditionFailed", "412"}


def from_client(error: BaseException) -> bool:
    """Tell whether an error is the S3 client's own, no OSError: endpoint away, no credentials."""
    return type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp"))


def is_transient(error: BaseException) -> bool:
    """Tell whether the same call may succeed a moment later."""
    if isinstance(error, _PERMANENT) or type(error).__name__ in _NO_CREDENTIALS:
        return False
    response = _response(error)
    if response is not None:
        status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return status >= 500 or status == 429 or s3_code(error) in _PASSING_CODES
    return is_unanswered(error) or (
        isinstance(error, OSError) and (error.errno is None or error.errno in _PASSING_NUMBERS)
    )


def is_unanswered(error: BaseException) -> bool:
    """Tell whether the store gave no whole answer: no connection, a stall, a broken body."""
    if type(error).__name__ in _NO_CREDENTIALS or _response(error) is not None:
        return False
    return from_client(error) or isinstance(error, TimeoutError | ConnectionError)


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
    if isinstance(error, FileNotFoundError):
        if s3_code(error) != "NoSuchBucket":
            return error
        return StorageError(
            f"can't {what}: there is no such bucket. Check the URL, or make the bucket"
        )
    reason = s3_code(error) or error
    if isinstance(error, PermissionError):
        return StorageError(
            f"can't {what}: access denied ({reason}). Check the credentials and what they allow"
        )
    told = f"{type(error).__name__}: {reason}" if str(reason) else type(error).__name__
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
        return StorageError(
            f"can't {what}: {told}. Check that the store answers, and the credentials"
        )
    return error


@contextmanager
def as_pair_error(kind: type[PairError]) -> Iterator[None]:
    """Turn a store's errors into the error of one pair, so that the others go on.

    A store that gives no answer at all fails all of them, so that error passes as it is.
    """
    try:
        yield
    except UnreachableError:
        raise
    except (StorageError, FileNotFoundError) as error:
        raise kind(f"{error}") from error


def gone(path: str) -> ReadError:
    """Return the error of a listed file that can't be found when it is to be read."""
    if _ESCAPED_NAME.search(path):
        return ReadError(
            f"{path} can't be opened: its name is not UTF-8, as names have to be, and is shown "
            "with escapes. Rename the file"
        )
    return ReadError(
        f"{path} is gone; it was there when the archive was listed. The next run looks again"
    )


def changed(path: str, size: int, listed_size: int) -> ReadError:
    """Return the error of a file that isn't what was listed any more; sizes are in bytes."""
    now = "other content than" if size == listed_size else f"{size} bytes and had {listed_size}"
    return ReadError(
        f"{path} has {now} when the archive was listed, so it changed in between. The next run "
        "looks again"
    )


def _response(error: BaseException) -> dict[str, Any] | None:
    """Return the store's answer that an exception or one of its causes holds."""
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            return response
        seen = seen.__cause__
    return None
