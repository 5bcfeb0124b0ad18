"""A tiled file of this machine that is known to hold what was written to it.

GDAL writes when its cache is full and when a file is closed, tells nobody of a failure at the end,
and takes blocks that it couldn't write for empty ones: where the disk is full, for black pixels.
"""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from fusion_core.errors import ScratchError
from fusion_core.models.tiling.grid import Slices
from fusion_core.scenes.cog import BLOCK, window_of, writing


class CheckedCopy:
    """A file that is written part by part, and compared with what was written at the end.

    Args:
        path: Its path.
        what: What it is called in errors.
        fields: Size, type and further options of GeoTIFF.

    Attributes:
        dataset: The open file, for its metadata.

    Raises:
        ScratchError: It can't be written.
    """

    def __init__(self, path: Path, what: str, **fields: Any):
        self._path, self._what = path, what
        self._written: list[tuple[list[int] | None, Slices, int]] = []
        layout = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "interleave": "pixel"}
        # Where a source turns out to be damaged, the rest isn't written as zeros.
        growing = {"bigtiff": "IF_SAFER", "sparse_ok": True}
        with writing(what):
            self.dataset = rasterio.open(
                path, "w", driver="GTiff", **growing, **{**layout, **fields}
            )

    def write(self, values: NDArray[Any], bands: list[int], place: Slices) -> None:
        """Write a part of some bands, (N, H, W)."""
        with writing(self._what):
            self.dataset.write(values, bands, window=window_of(place))
        self._written.append((bands, place, _digest(values)))

    def write_mask(self, mask: NDArray[np.uint8], place: Slices) -> None:
        """Write a part of the mask, (H, W), 255 where there are data."""
        with writing(self._what), rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
            self.dataset.write_mask(mask, window=window_of(place))
        self._written.append((None, place, _digest(mask)))

    def finish(self) -> None:
        """Close the file and compare it with what was written.

        Raises:
            ScratchError: It holds something else.
        """
        with writing(self._what):
            self.dataset.close()
            with rasterio.open(self._path) as found:
                for bands, place, digest in self._written:
                    window = window_of(place)
                    if bands is None:
                        values = found.dataset_mask(window=window)
                    else:
                        values = found.read(bands, window=window)
                    if _digest(values) != digest:
                        raise OSError("some of it is missing, as where a disk is full")


def check_room(folder: Path, needed: int) -> None:
    """Raise ScratchError unless a folder has room for a copy of so many bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ScratchError(
            f"the worker's temporary folder {folder.parent} has {free / 1e9:.1f} GB free; expected "
            f"{needed / 1e9:.1f} GB for a copy of an image. Free some, or set TMPDIR"
        )


def _digest(values: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(values).view(np.uint8).data)
