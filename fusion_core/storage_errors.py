"""What the errors of stores and their clients mean."""

from __future__ import annotations

_PERMANENT = (
    FileNotFoundError,
    PermissionError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
)


def s3_code(error: BaseException) -> str | None:
    """Return the S3 error code behind an exception, looking through its causes."""
    seen: BaseException | None = error
    while seen is not None:
        response = getattr(seen, "response", None)
        if isinstance(response, dict):
            return str(response.get("Error", {}).get("Code", "")) or None
        seen = seen.__cause__
    return None


def from_client(error: BaseException) -> bool:
    """Tell errors of the S3 client, which are no OSErrors: endpoint away, no credentials."""
    return type(error).__module__.startswith(("botocore", "aiobotocore", "aiohttp"))


def is_transient(error: BaseException) -> bool:
    """Tell whether the same call may succeed a moment later."""
    if isinstance(error, _PERMANENT) or type(error).__name__ == "NoCredentialsError":
        return False
    if s3_code(error) in {"PreconditionFailed", "NoSuchBucket", "AccessDenied", "ExpiredToken"}:
        return False
    return isinstance(error, OSError) or from_client(error)
