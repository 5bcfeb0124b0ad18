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

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader, DatasetWriter

from fusion_core.errors import ScratchError
from fusion_core.images.codecs import decode_listed
from fusion_core.images.metadata import exif_tags
from fusion_core.images.picture import Picture, turned
from fusion_core.images.samples import without_premultiplication
from fusion_core.models.tiling.grid import Slices
from fusion_core.scenes.cog import BLOCK, copy_metadata, has_mask_band, window_of, writing
from fusion_core.scenes.raster import Raster, is_raster, open_local, open_raster
from fusion_core.scenes.raster_checks import check_raster
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage

_WIDEST = 4 * BLOCK
_PIECE = 32 << 20
"""Bytes of a scene that are copied at once, unless a row of its blocks takes more."""

_MIRRORED = (
    "it declares that its smallest value is white (MinIsWhite), so its values were mirrored: the "
    "largest is white now"
)

_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_SIDEWAYS = 5
"""Orientation from which rows are columns."""

_FROM_THE_END = {3, 4, 6, 7}
"""Orientations in which the first row comes last."""


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
    copy, remark = folder / f"copy-{uuid.uuid4().hex}.tif", None
    try:
        if is_raster(storage, path, size):
            with open_raster(storage, path, size, version) as raster:
                pixels = raster.dataset.width * raster.dataset.height
                photograph = raster.description.is_photograph and pixels <= 1e6 * max_megapixels
                if not photograph:
                    check_raster(raster)
                    if _lies_plainly(raster):
                        yield raster
                        return
                    _copy(raster, copy)
                    remark = _MIRRORED if raster.description.inverted else None
        else:
            photograph = True
        if photograph:
            body = read_listed(storage, path, size, version)
            picture = decode_listed(path, body, max_megapixels)
            _write(picture, copy)
            remark = picture.remark
            del body, picture
        with open_local(copy, path) as plain:
            yield replace(plain, remark=remark)
    finally:
        copy.unlink(missing_ok=True)


def _lies_plainly(raster: Raster) -> bool:
    dataset = raster.dataset
    height, width = dataset.block_shapes[0]
    crossed = width > _WIDEST or height > _WIDEST
    return raster.description.as_stored and not (crossed and dataset.driver == "GTiff")


def _write(picture: Picture, path: Path) -> None:
    """Write a photograph as plain grey or RGB, with its alpha and with its EXIF data as tags."""
    planes = np.atleast_3d(picture.pixels)
    bands = [planes[..., k] for k in range(planes.shape[2])]
    colours = [ColorInterp.gray] if len(bands) == 1 else list(_RGB)
    options: dict[str, Any] = {"photometric": "rgb"} if len(bands) == 3 else {}
    if picture.alpha is not None:
        bands.append(picture.alpha)
        colours.append(ColorInterp.alpha)
        options["alpha"] = "non-premultiplied"
    if picture.white is not None:
        options["nbits"] = picture.white.bit_length()
    height, width = picture.pixels.shape[:2]
    _check_room(path.parent, sum(band.nbytes for band in bands))
    with (
        writing("a copy of a photograph"),
        _create(path, height, width, len(bands), str(planes.dtype), **options) as target,
    ):
        for k, band in enumerate(bands, 1):
            target.write(band, k)
        target.update_tags(**exif_tags(picture.metadata))


def _copy(raster: Raster, path: Path) -> None:
    """Copy a scene, reading and decompressing each of its blocks once."""
    source, described = raster.dataset, raster.description
    sideways = described.orientation >= _SIDEWAYS
    height, width = (source.shape[1], source.shape[0]) if sideways else source.shape
    kind = np.dtype(source.dtypes[0])
    _check_room(path.parent, source.width * source.height * source.count * kind.itemsize)
    options: dict[str, Any] = {}
    if source.gcps[0]:
        options |= {"gcps": source.gcps[0], "crs": source.gcps[1]}
    elif source.crs is not None or not source.transform.is_identity:
        options |= {"crs": source.crs, "transform": source.transform}
    if source.nodata is not None:
        options["nodata"] = _mirrored(raster, source.nodata)
    if described.bits < 8 * kind.itemsize:
        options["nbits"] = described.bits
    with writing("a copy of a scene"):
        target = _create(path, height, width, source.count, str(kind), **options)
    with target:
        with writing("a copy of a scene"):
            copy_metadata(target, source)
            if source.rpcs is not None:
                target.rpcs = source.rpcs
            if described.alpha != "none":
                target.colorinterp = (*source.colorinterp[: source.count - 1], ColorInterp.alpha)
        for rows in _rows(source):
            with raster.reading():
                bands = source.read(window=window_of((rows, slice(0, source.width))))
                mask = _mask(source, rows)
            _put(raster, target, rows, bands, mask)


def _put(
    raster: Raster,
    target: DatasetWriter,
    rows: slice,
    bands: NDArray[Any],
    mask: NDArray[np.uint8] | None,
) -> None:
    """Write some rows of a scene where they belong, with everything applied."""
    described = raster.description
    place = _place(rows, raster.dataset, described.orientation)
    plain = _plain(raster, bands)
    turn = turned(described.orientation)
    with writing("a copy of a scene"):
        target.write(np.stack([turn(band) for band in plain]), window=window_of(place))
        if mask is not None:
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                target.write_mask(np.ascontiguousarray(turn(mask)), window=window_of(place))


def _plain(raster: Raster, bands: NDArray[Any]) -> NDArray[Any]:
    """Return bands whose largest value is white and whose colours aren't multiplied by alpha."""
    described, colours = raster.description, raster.dataset.colorinterp
    alpha = colours.index(ColorInterp.alpha) if ColorInterp.alpha in colours else None
    if alpha is None and described.alpha != "none":
        alpha = len(bands) - 1  # GDAL knows no premultiplied opacity of JPEG 2000
    plain = bands.copy()
    for k in range(len(bands)):
        if k != alpha and described.inverted:
            plain[k] = _mirrored(raster, bands[k])
        if k != alpha and alpha is not None and described.alpha == "premultiplied":
            plain[k] = without_premultiplication(plain[k], bands[alpha])
    return plain


def _mirrored(raster: Raster, values: Any) -> Any:
    """Return what values become where the smallest is white: the largest is then."""
    described, kind = raster.description, np.dtype(raster.dataset.dtypes[0])
    if not described.inverted:
        return values
    if kind.kind == "u":
        return described.white - values
    return -1 - values  # the largest and the smallest of a signed type add up to -1


def _mask(source: DatasetReader, rows: slice) -> NDArray[np.uint8] | None:
    if not has_mask_band(source):
        return None
    window = window_of((rows, slice(0, source.width)))
    return np.asarray(source.dataset_mask(window=window), np.uint8)


def _rows(source: DatasetReader) -> Iterator[slice]:
    """Cut a file into rows of whole blocks."""
    height = source.block_shapes[0][0]
    line = source.width * source.count * np.dtype(source.dtypes[0]).itemsize
    step = max(1, _PIECE // (line * height)) * height
    for top in range(0, source.height, step):
        yield slice(top, min(top + step, source.height))


def _place(rows: slice, source: DatasetReader, orientation: int) -> Slices:
    """Return where some rows of a file lie in its upright copy."""
    if orientation in _FROM_THE_END:
        rows = slice(source.height - rows.stop, source.height - rows.start)
    along = slice(0, source.width)
    return (along, rows) if orientation >= _SIDEWAYS else (rows, along)


def _create(path: Path, height: int, width: int, count: int, dtype: str, **options: Any) -> Any:
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=count,
        dtype=dtype,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        interleave="pixel",
        bigtiff="IF_SAFER",
        **options,
    )


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ScratchError(
            f"the worker's temporary folder {folder.parent} has {free / 1e9:.1f} GB free; expected "
            f"{needed / 1e9:.1f} GB for a copy of an image. Free some, or set TMPDIR"
        )
