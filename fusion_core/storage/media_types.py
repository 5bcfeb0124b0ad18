"""Tells a store what kind of file an object is, so that a browser shows it and doesn't save it."""

from __future__ import annotations

from collections.abc import Collection

_BY_EXTENSION = {
    "html": "text/html; charset=utf-8",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown; charset=utf-8",
    "png": "image/png",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "webp": "image/webp",
}

_OPTION = {"s3": "ContentType", "gs": "content_type"}
"""By protocol, what the option of a write is called; other stores tell it by the name."""


def media_options(protocols: str | Collection[str], path: str) -> dict[str, str]:
    """Return the options of a write that name an object's media type, where it has one to name.

    Args:
        protocols: The file system's.
        path: The object's path.
    """
    kind = _BY_EXTENSION.get(path.rpartition(".")[2])
    known = [protocols] if isinstance(protocols, str) else protocols
    option = next((name for protocol, name in _OPTION.items() if protocol in known), None)
    return {option: kind} if option and kind else {}
