"""What a store answered, read from the errors of the clients of S3, Google Cloud and Azure.

None of the clients is imported: which of them is installed is the user's choice, so their errors
are told by the names of their modules and classes.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_CLIENTS = (
    "botocore",
    "aiobotocore",
    "aiohttp",
    "gcsfs",
    "google.auth",
    "google.api_core",
    "azure",
    "requests",
    "urllib3",
)
_NO_CREDENTIALS = {
    "NoCredentialsError",  # of botocore, as the next two
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "DefaultCredentialsError",  # of google.auth
    "CredentialUnavailableError",  # of azure.identity
}
_BROKEN_READING = (TypeError, AttributeError, LookupError)
_BAD_REQUEST = "Bad Request: "
_FORBIDDEN = "Forbidden: "
_LONGEST_TEXT = 300


@dataclass(frozen=True)
class Answer:
    """An answer of a store that is an error.

    Attributes:
        status: The HTTP status, 0 where it isn't told.
        code: The store's own name of the error, such as ``SlowDown``; None where it has none.
        storage_class: Where the object lies, if that is why it can't be read and the store says it.
        text: What a store without codes says.
    """

    status: int
    code: str | None = None
    storage_class: str | None = None
    text: str = ""

    @property
    def reason(self) -> str:
        """The code, or what HTTP calls the status where there is none, and the store's text."""
        if self.code and not self.code.isdigit():
            return self.code
        named = f"{self.status} {http.client.responses.get(self.status, '')}".rstrip()
        return f"{named}, {self.text[:_LONGEST_TEXT]}" if self.text else named


def answer_of(error: BaseException) -> Answer | None:
    """Return the answer that an exception or one of its causes is about, if a store gave any."""
    return next(filter(None, map(_answer, chain_of(error))), None)


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes.

    A client that breaks at reading an error raises without naming that as the cause. Of other
    exceptions the context isn't followed: it may be what the caller was at when it made the call.
    """
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        context = seen.__context__ if isinstance(seen, _BROKEN_READING) else None
        seen = seen.__cause__ or context


def from_client(error: BaseException) -> bool:
    """Tell whether an error, or one of its causes, is a store's client's own and no OSError."""
    return any(_client_of(seen) is not None for seen in chain_of(error))


def lacks_credentials(error: BaseException) -> bool:
    """Tell whether a client found no credentials to send."""
    return any(type(seen).__name__ in _NO_CREDENTIALS for seen in chain_of(error))


def is_silence(error: BaseException) -> bool:
    """Tell whether an exception is of a client that got no whole answer, and of no answer."""
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    client, name = _client_of(error), type(error).__name__
    if client == "google.auth":  # its servers are asked before the store is
        return name == "TransportError" or bool(getattr(error, "retryable", False))
    if client == "azure":
        return name.startswith(("ServiceRe", "IncompleteRead"))  # …questError, …sponseError
    if client == "gcsfs":
        return name == "ChecksumError"
    return client not in (None, "google.api_core")


def _client_of(error: BaseException) -> str | None:
    module = f"{type(error).__module__}."
    return next((name for name in _CLIENTS if module.startswith(f"{name}.")), None)


def _answer(error: BaseException) -> Answer | None:
    """Return the answer that one exception tells of."""
    response, client = getattr(error, "response", None), _client_of(error)
    if isinstance(response, dict):  # as botocore has it
        return _of_s3(response)
    if client == "requests":
        if response is None and type(error).__name__ == "ProxyError" and not error.args:
            return Answer(502)  # gcsfs has no other word for it
        return _with_status(getattr(response, "status_code", None))
    if client in ("gcsfs", "google.api_core"):
        return _with_status(getattr(error, "code", None), text=str(error))
    if client == "azure":
        code = getattr(error, "error_code", None)  # an enumeration's member, or text
        return _with_status(getattr(error, "status_code", None), getattr(code, "value", code))
    if client == "aiohttp":
        return _with_status(getattr(error, "status", None))
    return _of_gcsfs_text(error)


def _of_s3(response: dict[str, Any]) -> Answer:
    told, about = response.get("Error"), response.get("ResponseMetadata")
    told, about = (part if isinstance(part, dict) else {} for part in (told, about))
    code = str(told.get("Code") or "") or None
    status = int(about.get("HTTPStatusCode") or 0)
    if not status and code and code.isdigit():
        status = int(code)
    return Answer(status, code, told.get("StorageClass"))


def _with_status(status: Any, code: str | None = None, text: str = "") -> Answer | None:
    try:
        number = int(status)
    except (TypeError, ValueError):
        return None
    return Answer(number, code, text=text) if number >= 400 else None  # else a body broke


def _of_gcsfs_text(error: BaseException) -> Answer | None:
    """Tell the answers for which gcsfs raises plain errors of Python."""
    if type(error) is ValueError and str(error).startswith(_BAD_REQUEST):
        return Answer(400, text=str(error))
    if type(error) is OSError and error.errno is None and str(error).startswith(_FORBIDDEN):
        return Answer(403, text=str(error))
    return None
