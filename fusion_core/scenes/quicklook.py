"""Draws small pictures of scenes: the quicklook, and those on the sheets of a run."""

from __future__ import annotations

import io
import math
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.io import DatasetReader

from fusion_core.images.colour import Pixels
from fusion_core.metrics.scaling import Scaling
from fusion_core.scenes.aligned_raster import AlignedRaster
from fusion_core.scenes.bands import RGB, BandLayout
from fusion_core.scenes.cog import grey255
from fusion_core.scenes.grid import SceneGrid, match_grids
from fusion_core.scenes.localised import in_tiles, open_image
from fusion_core.scenes.raster import Raster, gdal_settings, open_raster
from fusion_core.settings.scenes import SceneSettings
from fusion_core.storage.stored_file import StoredFile

QUICKLOOK_SIDE = 1024
"""Longest side of a quicklook and of the pictures for sheets, in pixels."""

_CACHE_MB = 128
_MOST_MEGAPIXELS = 178.0  # more than any photograph has that is fused


def make_quicklook(fused: DatasetReader, scaling: Scaling) -> tuple[bytes, tuple[int, int]]:
    """Draw a fused scene small, with the model's scaling, as PNG.

    Bands marked red, green and blue, or three bands, are shown in colour, others by their
    luminance; pixels without data are transparent.

    Returns:
        The file's bytes, and height and width.
    """
    shrink = max(1.0, max(fused.shape) / QUICKLOOK_SIDE)
    height, width = (max(1, round(side / shrink)) for side in fused.shape)
    bands = fused.read(out_shape=(fused.count, height, width), resampling=Resampling.average)
    shown = _shown(bands, fused)
    greys = grey255(np.nan_to_num(shown), scaling)
    valid = fused.dataset_mask(out_shape=(height, width)) > 0
    valid &= np.isfinite(shown).reshape(height, width, -1).all(axis=-1)
    alpha = BandLayout.of_file(fused).alpha
    if alpha is not None:
        valid &= bands[alpha] > 0
    if not valid.all():
        greys = np.dstack([greys, 255 * valid.astype(np.uint8)])
    file = io.BytesIO()
    Image.fromarray(greys).save(file, format="PNG")
    return file.getvalue(), (height, width)


def scene_pictures(files: Sequence[StoredFile], fused: StoredFile) -> list[Pixels] | None:
    """Draw the files of a scene small, all on the fused scene's grid.

    Args:
        files: The files to draw.
        fused: A fused scene.

    Returns:
        Their pictures, (h, w) or (h, w, 3) uint8, black where the fused scene has no data; None
        if ``fused`` is no scene but a photograph.

    Raises:
        StorageError: A file isn't the one that it must be, or a store failed.
        FileNotFoundError: There is no such file.
        PairError: A file can't be read as a raster.
    """
    if not fused.path.endswith(".tif"):
        return None
    with gdal_settings(_CACHE_MB), _opened(fused) as grid_of:
        if grid_of.dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") != "COG":
            return None  # a photograph
        step = max(1, math.ceil(max(grid_of.dataset.shape) / QUICKLOOK_SIDE))
        shape = tuple(math.ceil(side / step) for side in grid_of.dataset.shape)
        valid = grid_of.dataset.dataset_mask(out_shape=shape) > 0
        pictures = []
        for file in files:
            with _shown_as(file) as raster:
                grid = match_grids(grid_of, raster, resize=True)
                pictures.append(_drawn(raster, grid, step, valid))
        return pictures


def _drawn(raster: Raster, grid: SceneGrid, step: int, valid: NDArray[np.bool_]) -> Pixels:
    settings = SceneSettings()
    with closing(AlignedRaster(raster, grid, settings, warped=not grid.same)) as side:
        pixels = side.decimated(step)
    both = pixels.valid & valid
    _, scaling = side.choose_scaling(settings, "vi", pixels.luminance[both])
    shown = grey255(np.nan_to_num(_shown(pixels.bands, raster.dataset)), scaling)
    shown[~both] = 0
    return shown


def _shown(bands: NDArray[Any], file: DatasetReader) -> NDArray[np.float64]:
    """Return the bands (N, H, W) to be shown: (H, W, 3) in colour, or the luminance (H, W)."""
    layout, colours = BandLayout.of_file(file), file.colorinterp
    if all(colour in colours for colour in RGB):
        order = [colours.index(colour) for colour in RGB]
    elif len(layout.data) == 3:
        order = list(layout.data)
    else:
        return layout.luminance(bands, file.nodata)
    return np.stack([layout.values(bands, k) for k in order], -1)


@contextmanager
def _shown_as(file: StoredFile) -> Iterator[Raster]:
    """Open a file as what it declares."""
    size, version = file.check()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_image(
            file.storage,
            file.path,
            size,
            version,
            folder=Path(folder),
            max_megapixels=_MOST_MEGAPIXELS,
        ) as raster,
        in_tiles(raster, slice(0, raster.dataset.height), folder=Path(folder)) as tiles,
    ):
        yield tiles


@contextmanager
def _opened(file: StoredFile) -> Iterator[Raster]:
    size, version = file.check()
    with open_raster(file.storage, file.path, size, version) as raster:
        yield raster
