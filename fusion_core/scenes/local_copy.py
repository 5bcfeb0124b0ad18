"""Copies a scene into a plain tiled file of this machine, with what it declares applied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Interleaving
from rasterio.io import DatasetReader

from fusion_core.images.picture import turned
from fusion_core.images.samples import without_premultiplication
from fusion_core.models.tiling.grid import Slices
from fusion_core.scenes.checked_copy import CheckedCopy, check_room
from fusion_core.scenes.cog import BLOCK, copy_metadata, has_mask_band, window_of, writing
from fusion_core.scenes.raster import Raster

_WHAT = "a copy of a scene"
_PIECE = 32 << 20
"""Bytes of a scene that are copied at once."""

_LOWEST = 16  # rows that a block of GeoTIFF has at least

_SIDEWAYS = 5
"""Orientation from which rows are columns."""

_FROM_THE_END = {3, 4, 6, 7}
"""Orientations in which the first row comes last."""

_FROM_THE_RIGHT = {2, 3, 7, 8}
"""Orientations in which the first column comes last."""


@dataclass(frozen=True)
class _Planes:
    """Bands that are copied together: all of a file, or one whose blocks lie apart."""

    bands: list[int]
    block: tuple[int, int]
    pixel: int  # bytes


def copy_scene(raster: Raster, path: Path) -> None:
    """Copy a scene: upright, white as its largest value, not multiplied by its opacity.

    Each of its blocks is read and decompressed once, however large they are.

    Raises:
        ReadError: The store failed, or the file has changed.
        DecodeError: The file is damaged.
        ScratchError: The folder has no room.
    """
    source = raster.dataset
    check_room(path.parent, source.width * source.height * _pixel(source))
    target = _create_for(raster, path)
    try:
        for planes in _planes(raster):
            for part in _pieces(source, planes):
                _copy_bands(raster, target, planes.bands, part)
        if has_mask_band(source):
            mask = _Planes([1], source.block_shapes[0], 1)
            for part in _pieces(source, mask):
                _copy_mask(raster, target, part)
    finally:
        # Also where reading failed, since GDAL writes while it reads.
        target.finish()


def _create_for(raster: Raster, path: Path) -> CheckedCopy:
    """Create the copy's file, with the metadata of its source."""
    source, described = raster.dataset, raster.description
    kind = np.dtype(source.dtypes[0])
    sideways = described.orientation >= _SIDEWAYS
    height, width = (source.width, source.height) if sideways else source.shape
    planes = _planes(raster)[0]
    options: dict[str, Any] = {
        "interleave": "pixel" if len(planes.bands) == source.count else "band",
        # As low as the rows that are copied at once, or blocks would be written again and again.
        "blockysize": BLOCK if sideways else _block_height(width * planes.pixel),
    }
    if source.gcps[0]:
        options |= {"gcps": source.gcps[0], "crs": source.gcps[1]}
    elif source.crs is not None or not source.transform.is_identity:
        options |= {"crs": source.crs, "transform": source.transform}
    if source.nodata is not None:
        options["nodata"] = _mirrored(raster, source.nodata)
    if described.bits < 8 * kind.itemsize:
        options["nbits"] = described.bits
    size = {"height": height, "width": width, "count": source.count, "dtype": str(kind)}
    copy = CheckedCopy(path, _WHAT, **size, **options)
    with writing(_WHAT):
        target = copy.dataset
        copy_metadata(target, source)
        if source.rpcs is not None:
            target.rpcs = source.rpcs
        if described.alpha != "none":
            target.colorinterp = (*source.colorinterp[: source.count - 1], ColorInterp.alpha)
    return copy


def _block_height(line: int) -> int:
    return max(_LOWEST, min(BLOCK, _PIECE // line // _LOWEST * _LOWEST))


def _planes(raster: Raster) -> Sequence[_Planes]:
    """Return the bands of a file in groups that are read together."""
    source = raster.dataset
    every, block = list(range(1, source.count + 1)), source.block_shapes[0]
    apart = source.interleaving is not Interleaving.pixel
    if apart and raster.description.alpha != "premultiplied":
        return [_Planes([k], block, _pixel(source) // source.count) for k in every]
    return [_Planes(every, block, _pixel(source))]


def _pieces(source: DatasetReader, planes: _Planes) -> Iterator[Slices]:
    """Cut a file into pieces of whole blocks, so that none is come back to."""
    high, wide = planes.block
    line, block = source.width * planes.pixel, high * wide * planes.pixel
    down = max(1, _PIECE // (high * line)) * high
    across = max(1, _PIECE // block) * wide
    for rows in _cut(slice(0, source.height), down):
        for columns in _cut(slice(0, source.width), across):
            yield rows, columns


def _cut(side: slice, step: int) -> Iterator[slice]:
    for start in range(side.start, side.stop, step):
        yield slice(start, min(start + step, side.stop))


def _copy_bands(raster: Raster, target: CheckedCopy, bands: list[int], part: Slices) -> None:
    """Copy a part of some bands to where it belongs, with everything applied."""
    with raster.reading():
        read = raster.dataset.read(bands, window=window_of(part))
    turn = turned(raster.description.orientation)
    rows, columns = part
    # A block may be large, and what is made of it is more.
    step = max(1, _PIECE // read[:, :1].nbytes)
    for few in _cut(rows, step):
        stored = read[:, few.start - rows.start : few.stop - rows.start]
        plain = np.stack([turn(band) for band in _plain(raster, bands, stored)])
        target.write(plain, bands, _place((few, columns), raster))


def _copy_mask(raster: Raster, target: CheckedCopy, part: Slices) -> None:
    with raster.reading():
        mask = np.asarray(raster.dataset.dataset_mask(window=window_of(part)), np.uint8)
    turn, place = turned(raster.description.orientation), _place(part, raster)
    target.write_mask(np.ascontiguousarray(turn(mask)), place)


def _plain(raster: Raster, bands: list[int], stored: NDArray[Any]) -> NDArray[Any]:
    """Return bands whose largest value is white and whose colours aren't multiplied by alpha."""
    described, colours = raster.description, raster.dataset.colorinterp
    multiplied = described.alpha == "premultiplied"
    if not (described.inverted or multiplied):
        return stored
    alpha = colours.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in colours else None
    if alpha is None and described.alpha != "none":
        alpha = len(colours)  # GDAL knows no premultiplied opacity of JPEG 2000
    plain = stored.copy()
    for k, band in enumerate(bands):
        if band != alpha and described.inverted:
            plain[k] = _mirrored(raster, stored[k])
        if band != alpha and alpha is not None and multiplied:
            straight = without_premultiplication(plain[k], stored[alpha - 1])
            plain[k] = np.minimum(straight, described.white)
    return plain


def _mirrored(raster: Raster, values: Any) -> Any:
    """Return what values become where the smallest is white: the largest is then."""
    described, kind = raster.description, np.dtype(raster.dataset.dtypes[0])
    if not described.inverted:
        return values
    if kind.kind == "u":
        return described.white - values
    return -1 - values  # the largest and the smallest of a signed type add up to -1


def _place(part: Slices, raster: Raster) -> Slices:
    """Return where a part of a file lies in its upright copy."""
    source, orientation = raster.dataset, raster.description.orientation
    rows, columns = part
    if orientation in _FROM_THE_END:
        rows = slice(source.height - rows.stop, source.height - rows.start)
    if orientation in _FROM_THE_RIGHT:
        columns = slice(source.width - columns.stop, source.width - columns.start)
    return (columns, rows) if orientation >= _SIDEWAYS else (rows, columns)


def _pixel(source: DatasetReader) -> int:
    return int(source.count * np.dtype(source.dtypes[0]).itemsize)
