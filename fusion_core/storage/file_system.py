"""Opens the fsspec file system behind a URL, again whenever its options have changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import fsspec.core

from fusion_core.errors import StorageError
from fusion_core.storage.archived import show_tiers
from fusion_core.storage.s3 import s3_options

StorageOptions: TypeAlias = Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None
"""Storage options of fsspec, or what returns those to use now, as credentials may change."""


def options_now(options: StorageOptions) -> dict[str, Any]:
    """Return the options to use at this moment."""
    return dict((options() if callable(options) else options) or {})


class FreshFileSystem:
    """The file system behind a URL, with the options of now.

    Attributes:
        url: The URL.
        options: As they were given.
        root: The URL's path, as the file system names it.
        last: The file system that was opened last.

    Raises:
        StorageError: The URL names a protocol that isn't installed.
    """

    def __init__(self, url: str, options: StorageOptions, retry_seconds: float):
        self.url, self.options = url, options
        self._retry_seconds = retry_seconds
        self._opened_with = options_now(options)
        self.last, self.root = self._open(self._opened_with)

    def now(self) -> Any:
        """Return the file system; a new one if the options aren't those of the last any more."""
        if callable(self.options):
            options = options_now(self.options)
            if options != self._opened_with:
                self.last, _ = self._open(options)
                self._opened_with = options
        return self.last

    def _open(self, options: Mapping[str, Any]) -> tuple[Any, str]:
        to_s3 = self.url.startswith(("s3://", "s3a://"))
        used = s3_options(options, self._retry_seconds) if to_s3 else options
        try:
            fs, root = fsspec.core.url_to_fs(self.url, **used)
        except (ImportError, ValueError) as error:
            raise StorageError(
                f"can't open {self.url}: {error}. Expected a local path or an fsspec URL whose "
                "protocol is installed, such as s3://bucket/folder"
            ) from error
        if "s3" in fs.protocol:
            fs.retries = 1  # repeating is done in one place, where it is bounded and counted
        show_tiers(fs)
        return fs, root
