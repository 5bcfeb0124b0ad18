"""Opens an image of a scene pair as what it declares: as it lies, or as a plain local copy of it.

GDAL shows a file's samples; how the picture lies, which end is white and what its channels are it
leaves to the reader. What needs any of that is copied once into a tiled file of the temporary
folder, with all of it applied, so that everything behind reads plain bands:

- a photograph, through the reader of photographs, so that a file means the same whatever the other
  file of its pair is;
- a scene that doesn't lie upright or whose smallest value is white;
- a scene in strips, or in other blocks much wider than tiles, which would be read and decompressed
  again for each tile that they cross.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.io import DatasetReader

from fusion_core.images.codecs import decode_listed
from fusion_core.images.metadata import exif_tags
from fusion_core.images.picture import Picture
from fusion_core.scenes.checked_copy import CheckedCopy, check_room
from fusion_core.scenes.cog import BLOCK
from fusion_core.scenes.local_copy import copy_scene
from fusion_core.scenes.raster import NoRasterError, Raster, open_local, open_raster
from fusion_core.scenes.raster_checks import check_raster, check_worth
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage

_WIDEST = 4 * BLOCK
_MOST_CROSSED = 32 << 20
"""Bytes of strips that a tile may cross and that are looked for in GDAL's cache for the next."""

_FEW = 0.25
"""Share of a scene's blocks up to which those that are needed are read as they lie."""

_MIRRORED = (
    "it declares that its smallest value is white (MinIsWhite), so its values were mirrored: the "
    "largest is white now"
)


@contextmanager
def open_image(
    storage: Storage,
    path: str,
    size: int,
    version: str,
    *,
    folder: Path,
    max_megapixels: float,
) -> Iterator[Raster]:
    """Open an image of a scene pair, and check that it is what was listed and can be fused.

    Args:
        storage: The store that it lies in.
        path: Its path there.
        size: Its size in bytes when it was listed.
        version: Its version then, see ``object_version``.
        folder: Where a copy may be put; it is removed at the end.
        max_megapixels: Larger images are scenes, whatever their type.

    Raises:
        ReadError: It is gone, has changed, or the store fails.
        DecodeError: It is damaged, or of a kind that isn't fused.
        ScratchError: The folder has no room.
    """
    copy, remark = _path_in(folder), None
    with ExitStack() as reading, _removed(copy):
        raster = _raster(reading, storage, path, size, version)
        if raster is not None and not _is_photograph(raster, max_megapixels):
            check_raster(raster)
            if raster.description.as_stored:
                yield raster
                return
            check_worth(raster, raster.dataset.height, raster.dataset.width)
            copy_scene(raster, copy)
            remark = _MIRRORED if raster.description.inverted else None
            reading.close()
        else:
            reading.close()
            body = read_listed(storage, path, size, version)
            picture = decode_listed(path, body, max_megapixels)
            _write(picture, copy)
            remark = picture.remark
            del body, picture
        with open_local(copy, path) as plain:
            yield replace(plain, remark=remark)


@contextmanager
def in_tiles(raster: Raster, rows: slice, *, folder: Path) -> Iterator[Raster]:
    """Give an image whose tiles can be read one by one: a copy, unless it is stored in such.

    Blocks that are crossed by many tiles are read and decompressed for each of them, unless GDAL
    still holds them. A file of which little is needed stays as it is all the same: a small scene
    in an image of the whole Earth, say.

    Args:
        raster: An image that ``open_image`` opened.
        rows: Those that will be read.
        folder: Where a copy may be put; it is removed at the end.

    Raises:
        ReadError: It has changed, or the store fails.
        DecodeError: It is damaged.
        ScratchError: The folder has no room.
    """
    high, _ = raster.dataset.block_shapes[0]
    blocks = range(0, raster.dataset.height, high)
    needed = range(rows.start // high, -(-rows.stop // high))
    if not _is_crossed(raster.dataset) or len(needed) <= _FEW * len(blocks):
        yield raster
        return
    copy = _path_in(folder)
    with _removed(copy):
        copy_scene(raster, copy)
        with open_local(copy, raster.path) as plain:
            yield replace(plain, remark=raster.remark)


def _raster(
    reading: ExitStack, storage: Storage, path: str, size: int, version: str
) -> Raster | None:
    """Open what may be a scene; None where the file is of another format."""
    try:
        return reading.enter_context(open_raster(storage, path, size, version))
    except NoRasterError:
        return None


def _is_photograph(raster: Raster, max_megapixels: float) -> bool:
    pixels = raster.dataset.width * raster.dataset.height
    return raster.description.is_photograph and pixels <= 1e6 * max_megapixels


def _is_crossed(dataset: DatasetReader) -> bool:
    """Tell whether a file is stored in blocks that many tiles cross."""
    high, wide = dataset.block_shapes[0]
    line = dataset.width * dataset.count * np.dtype(dataset.dtypes[0]).itemsize
    strips = wide >= dataset.width > BLOCK and 2 * BLOCK * line > _MOST_CROSSED
    return bool(max(high, wide) > _WIDEST or strips)


def _path_in(folder: Path) -> Path:
    return folder / f"copy-{uuid.uuid4().hex}.tif"


@contextmanager
def _removed(copy: Path) -> Iterator[None]:
    """Remove a file at the end, however that comes."""
    try:
        yield
    finally:
        copy.unlink(missing_ok=True)


def _write(picture: Picture, path: Path) -> None:
    """Write a photograph as plain grey or RGB, with its alpha and with its EXIF data as tags."""
    planes = np.atleast_3d(picture.pixels)
    bands = [planes[..., k] for k in range(planes.shape[2])]
    options: dict[str, Any] = {"photometric": "rgb"} if len(bands) == 3 else {}
    if picture.alpha is not None:
        bands.append(picture.alpha)
        options["alpha"] = "non-premultiplied"
    if picture.white is not None:
        options["nbits"] = picture.white.bit_length()
    height, width = picture.pixels.shape[:2]
    check_room(path.parent, sum(band.nbytes for band in bands))
    size = {"height": height, "width": width, "count": len(bands), "dtype": str(planes.dtype)}
    target = CheckedCopy(path, "a copy of a photograph", **size, **options)
    target.dataset.update_tags(**exif_tags(picture.metadata))
    for k, band in enumerate(bands, 1):
        target.write(band[None], [k], (slice(0, height), slice(0, width)))
    target.finish()
