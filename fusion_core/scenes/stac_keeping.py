"""What keeping house has to know of an output's catalogues of scenes."""

from __future__ import annotations

from fusion_core.scenes.stac_catalog import write_scene_catalog
from fusion_core.scenes.stac_root import CATALOG_PATHS, read_root
from fusion_core.scenes.stac_whole import PROGRESS_PATH
from fusion_core.storage.store import Storage


def unreadable_roots(output: Storage) -> list[str]:
    """Return the paths of roots that the next run can't go on from, and would write anew.

    Raises:
        StorageError: The store failed.
    """
    return [
        path
        for kind, path in CATALOG_PATHS.items()
        if output.exists(path) and read_root(output, kind) is None
    ]


def catalogs_from(output: Storage) -> int | None:
    """Return the generation of the lease that the catalogues go on from; None without any.

    Raises:
        StorageError: The store failed.
    """
    roots = (read_root(output, kind) for kind in CATALOG_PATHS)
    return min((root.mark.generation for root in roots if root is not None), default=None)


def rewrite_catalogs(output: Storage) -> None:
    """Write the catalogues that an output has anew, from its manifest alone.

    Raises:
        ManifestError: The manifest can't be read.
        StorageError: The store failed.
    """
    for kind, path in CATALOG_PATHS.items():
        if read_root(output, kind) is None:
            continue
        output.remove(PROGRESS_PATH)  # without which nothing of before is gone on with
        if write_scene_catalog(output, kind) is None:
            output.remove(path)
