"""What listing a store and telling its versions need of ``Storage``, which is made of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

Identity: TypeAlias = Literal["etag", "version", "checksum"]
"""What a file's version is told by."""


class StoreCalls(Protocol):
    """The part of ``Storage`` by which other modules of this package call the store."""

    @property
    def identity(self) -> Identity:
        """What versions are told by."""

    @property
    def is_local(self) -> bool:
        """Whether objects are files of this machine."""

    @property
    def on_s3(self) -> bool:
        """Whether the store speaks S3."""

    @property
    def fs(self) -> Any:
        """The file system of fsspec."""

    @property
    def root(self) -> str:
        """The path of the root, as the file system names it."""

    @property
    def limit(self) -> Mapping[str, float]:
        """Keyword arguments that bound a request's time."""

    def url(self, path: str) -> str:
        """Return the full URL of a path."""

    def fs_path(self, path: str) -> str:
        """Return a path as the file system names it."""

    def call(self, what: str, action: Callable[[], Any], size: int = 0) -> Any:
        """Run something on the file system, with retries."""

    def sha256(self, path: str) -> str:
        """Return the sha256 of an object in hex."""

    def head(self, path: str, **asked: Any) -> dict[str, Any]:
        """Return what S3 answers to HEAD."""

    def version(self, path: str, info: Mapping[str, Any]) -> str:
        """Return the version of an object of which this was said."""
