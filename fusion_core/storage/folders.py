"""Names the folders right below a path, without a listing of all that is in them."""

from __future__ import annotations

from typing import Any

from fusion_core.storage.store import Storage


def folders(storage: Storage, path: str) -> list[str]:
    """Return the names of the folders right below a path, sorted; none where there is no path.

    Args:
        storage: Where to look.
        path: The path below its root.

    Raises:
        StorageError: The store failed.
    """
    full = storage.fs_path(path)

    def entries() -> list[dict[str, Any]]:
        try:
            return list(storage.fs.ls(full, detail=True, refresh=True))
        except (FileNotFoundError, NotADirectoryError):
            return []

    found = storage.call(f"list {storage.url(path)}", entries)
    names = (str(one["name"]).rstrip("/") for one in found if one["type"] == "directory")
    return sorted(name.rpartition("/")[2] for name in names)
