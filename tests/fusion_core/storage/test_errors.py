"""The errors of the clients of Google Cloud and Azure, and S3's answers that can't be parsed.

The exceptions are those of the clients themselves.
"""

import concurrent.futures
from collections.abc import Callable
from typing import Any

import aiohttp
import azure.core.exceptions as azure
import google.api_core.exceptions as google_api
import google.auth.exceptions as google_auth
import pytest
import requests.exceptions
from azure.identity import CredentialUnavailableError
from azure.storage.blob import StorageErrorCode
from gcsfs.retry import ChecksumError, HttpError, NonRetryableError, validate_response
from multidict import CIMultiDict, CIMultiDictProxy
from scripted_s3 import Reply, Request, refusal, scripted_s3
from yarl import URL

from fusion_core.errors import (
    ArchivedError,
    ReadError,
    SourceChangedError,
    StorageError,
    UnreachableError,
    WriteError,
)
from fusion_core.scenes.raster import open_header
from fusion_core.storage.errors import (
    as_pair_error,
    fails_condition,
    is_transient,
    is_unanswered,
    translate_error,
)
from fusion_core.storage.retry import RetryPolicy
from fusion_core.storage.store import Storage


def of_azure(
    status: int, code: str = "", kind: type[azure.HttpResponseError] = azure.HttpResponseError
) -> azure.HttpResponseError:
    class Response:
        status_code, reason = status, "so it says"

        def text(self) -> str:
            return ""

    found = kind("told", response=Response())  # type: ignore[arg-type]
    found.error_code = StorageErrorCode(code) if code else None  # type: ignore[attr-defined]
    return found


def of_gcsfs(status: int, body: bytes = b"") -> Exception:
    """What gcsfs raises at an answer."""
    with pytest.raises(Exception) as raised:  # noqa: PT011 (its kind is what is tested)
        validate_response(status, body, "bucket/object")
    return raised.value


def of_aiohttp(status: int) -> Exception:
    url = URL("http://127.0.0.1/object")
    asked = aiohttp.RequestInfo(url, "GET", CIMultiDictProxy(CIMultiDict()), url)
    return aiohttp.ClientResponseError(asked, (), status=status)


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


PASSING = [
    *(HttpError({"code": code, "message": "m"}) for code in (408, 429, 500, "503", 504)),
    of_gcsfs(503, b'{"error": {"message": "try later"}}'),
    of_gcsfs(502),
    google_api.ServiceUnavailable("m"),
    google_api.TooManyRequests("m"),
    of_azure(500, "InternalError"),
    of_azure(503, "ServerBusy"),
    of_azure(429),
    caused(RuntimeError("Failed to upload block"), of_azure(503)),
    of_aiohttp(503),
]
SILENT = [
    ChecksumError("m"),
    google_auth.TransportError("m"),
    google_auth.RefreshError("m", retryable=True),
    caused(google_auth.RefreshError("m"), google_auth.TransportError("m")),
    azure.ServiceRequestError("m"),
    azure.ServiceResponseError("m"),
    azure.ServiceRequestTimeoutError("m"),
    azure.IncompleteReadError("m"),
    of_azure(206, kind=azure.IncompleteReadError),
    caused(RuntimeError("Failed to upload block"), azure.ServiceResponseError("m")),
    caused(FileNotFoundError("a"), azure.ServiceRequestError("m")),
    aiohttp.ClientPayloadError("m"),
    aiohttp.ServerDisconnectedError("m"),
    requests.exceptions.ConnectionError("m"),
    requests.exceptions.ReadTimeout("m"),
    requests.exceptions.ChunkedEncodingError("m"),
    concurrent.futures.TimeoutError(),
]
FINAL = [
    HttpError({"code": 400, "message": "m"}),
    HttpError({"code": 401, "message": "m"}),
    NonRetryableError("m"),
    of_gcsfs(403, b"no"),
    of_gcsfs(400, b'{"error": {"message": "invalid argument"}}'),
    google_api.PermissionDenied("m"),
    google_auth.DefaultCredentialsError("m"),
    google_auth.RefreshError("invalid_grant"),
    of_azure(400, "InvalidInput"),
    of_azure(403, "AuthorizationFailure", azure.ClientAuthenticationError),
    of_azure(409, "BlobArchived"),
    CredentialUnavailableError("m"),
    of_aiohttp(403),
]


def names(error: Exception) -> str:
    return f"{type(error).__name__}-{error}"[:40]


@pytest.mark.parametrize("error", PASSING + SILENT, ids=names)
def test_what_may_pass_is_tried_again(error: Exception) -> None:
    assert is_transient(error)


@pytest.mark.parametrize("error", FINAL, ids=names)
def test_what_stays_is_not_tried_again_and_is_the_stores(error: Exception) -> None:
    assert not is_transient(error)
    told = translate_error("read a.png", error, "the store", 9)
    assert isinstance(told, StorageError)
    assert not isinstance(told, UnreachableError)


@pytest.mark.parametrize("error", SILENT, ids=names)
def test_no_whole_answer_is_the_stores_silence(error: Exception) -> None:
    assert is_unanswered(error)
    assert isinstance(translate_error("read a.png", error, "the store", 9), UnreachableError)


@pytest.mark.parametrize("error", PASSING, ids=names)
def test_an_answer_that_comes_again_and_again_is_an_answer(error: Exception) -> None:
    assert not is_unanswered(error)
    told = translate_error("read a.png", error, "the store", 9)
    assert type(told) is StorageError
    assert "can't read a.png" in str(told)


def test_what_is_missing_and_what_exists_stay_what_they_are() -> None:
    missing, taken = of_gcsfs(404), of_gcsfs(412)
    for error, kind in ((missing, FileNotFoundError), (taken, FileExistsError)):
        assert isinstance(error, kind)
        assert not is_transient(error)
        assert translate_error("read a.png", error, "the store", 9) is error
    absent = of_azure(404, "BlobNotFound", azure.ResourceNotFoundError)
    assert isinstance(translate_error("read a", absent, "", 9), FileNotFoundError)
    no_container = of_azure(404, "ContainerNotFound", azure.ResourceNotFoundError)
    assert "no such bucket" in str(translate_error("list a", no_container, "", 9))
    assert fails_condition(of_azure(409, "BlobAlreadyExists", azure.ResourceExistsError))
    assert fails_condition(of_azure(412, "ConditionNotMet"))


def test_what_the_caller_was_at_is_not_taken_for_the_answer() -> None:
    """Python hangs the exception that is being handled to every new one, as its context."""
    try:
        raise caused(FileExistsError("a"), of_azure(412))
    except FileExistsError:
        with pytest.raises(ConnectionError) as raised:
            raise ConnectionError("reset")  # noqa: B904 (what is shown)
    assert raised.value.__context__ is not None
    assert is_unanswered(raised.value)


def test_an_archived_blob_has_its_own_error() -> None:
    error = of_azure(409, "BlobArchived")
    told = translate_error("read a.png", error, "the store", 9)
    with (
        pytest.raises(ArchivedError, match=r"read a\.png: it lies in an archive.*Restore it"),
        as_pair_error(ReadError),
    ):
        raise told from error


def test_an_archived_object_of_the_output_is_no_archived_source() -> None:
    told = translate_error("create a.png", of_azure(409, "BlobArchived"), "the store", 9)
    with pytest.raises(WriteError), as_pair_error(WriteError):
        raise told from of_azure(409, "BlobArchived")


HTML = b"<html><body><h1>It is closed</h1></body></html>"
ANSWERS: dict[str, Callable[[int], Reply]] = {
    "nothing": lambda status: Reply(status),
    "html": lambda status: Reply(status, HTML),
    "text": lambda status: Reply(status, b"closed <for"),
    "no message": lambda status: refusal(status, str(status)),
    "an empty error": lambda status: Reply(status, b"<Error></Error>"),
}


@pytest.mark.parametrize("body", ANSWERS)
@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (404, FileNotFoundError, None),
        (403, StorageError, r"access denied \(403 Forbidden\)"),
        (400, StorageError, "400 Bad Request"),
        (412, StorageError, "412 Precondition Failed"),
        (501, StorageError, "501 Not Implemented"),
        (503, StorageError, "503 Service Unavailable"),
    ],
)
def test_an_answer_without_a_body_to_parse_is_what_its_status_says(
    body: str, status: int, kind: type[Exception], told: str | None
) -> None:
    with scripted_s3(lambda _: ANSWERS[body](status)) as (options, asked):
        storage = Storage("s3://bucket", options, retry_seconds=30)
        storage.retry_policy = RetryPolicy(30, attempts=3)
        actions: list[Callable[[], Any]] = [
            lambda: storage.read("a.png"),
            lambda: storage.call("read a.png", lambda: storage.fs.open("bucket/a.png").read()),
        ]
        for action in actions:
            with pytest.raises(kind, match=told) as raised:
                action()
            assert not isinstance(raised.value, UnreachableError)
            assert "NoneType" not in str(raised.value)
        assert (len(asked) > 4) == (status == 503)


@pytest.mark.parametrize("message", ["", "<Message></Message>", "<Message>In its words</Message>"])
def test_a_changed_object_is_told_in_whatever_words_the_store_refuses_it(message: str) -> None:
    """s3fs looks for AWS's words in a message that other servers leave empty."""

    def answer(request: Request) -> Reply:
        if request.method == "HEAD":
            return Reply(200, bytes(9), (("ETag", '"e"'),))
        return refusal(412, "PreconditionFailed", message)

    with scripted_s3(answer) as (options, _):
        storage = Storage("s3://bucket", options)
        file = storage.fs.open("bucket/a.tif", "rb")
        with pytest.raises(StorageError, match=r"read a: \w+: PreconditionFailed") as raised:
            storage.call("read a", file.read)
        assert fails_condition(raised.value)
        with (
            pytest.raises(SourceChangedError, match=r"a\.tif changed while it was read"),
            open_header(storage, "a.tif", 9),
        ):
            pass
