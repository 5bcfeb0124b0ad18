"""A file in a store, with what its bytes must be where that is known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage


@dataclass(frozen=True)
class StoredFile:
    """A file below a storage's root; what lies there is not trusted to be what was written.

    Attributes:
        storage: The store; it can be pickled, and so can this.
        path: The file's path below its root.
        sha256: What the sha256 of its bytes must be, in hex; None where any will do.
        size: What its size must be, in bytes; None where any will do. It is looked at first, so
            that a file of another size is never read.
    """

    storage: Storage
    path: str
    sha256: str | None = None
    size: int | None = None

    @property
    def url(self) -> str:
        """The file's URL, for people."""
        return self.storage.url(self.path)

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            FileNotFoundError: There is no such file.
            StorageError: They are not those that were expected, or the store failed.
        """
        size = 0 if self.size is None else self._found()[0]
        body = self.storage.read(self.path, size)
        if self.sha256 is not None:
            self._compare(hashlib.sha256(body).hexdigest())
        return body

    def check(self) -> tuple[int, str]:
        """Check the file piece by piece, for one that is too large to be held in memory.

        Returns:
            Its size in bytes and its version, see ``Storage.version``: whoever opens that version
            afterwards opens what was checked.

        Raises:
            FileNotFoundError: There is no such file.
            StorageError: Its bytes are not those that were expected, or the store failed.
        """
        size, version = self._found()
        if self.sha256 is not None:
            self._compare(self.storage.sha256(self.path))
        return size, version

    def _found(self) -> tuple[int, str]:
        info = self.storage.info(self.path)
        size = int(info["size"] or 0)
        if self.size is not None and size != self.size:
            raise StorageError(
                f"{self.url} has {size} bytes; expected the {self.size} that were written. "
                "Somebody has replaced it: see who can write there, or make it anew"
            )
        return size, self.storage.version(self.path, info)

    def _compare(self, found: str) -> None:
        if found != self.sha256:
            raise StorageError(
                f"{self.url} has the sha256 {found}; expected {self.sha256}, that of what was "
                "written. Somebody has replaced it: see who can write there, or make it anew"
            )
