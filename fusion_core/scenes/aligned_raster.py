"""One image of a scene pair, read in windows on the scene's grid.

The scene's grid is the visible one's, or the part of it that the infrared covers. Where the
infrared has another grid it is warped window by window, as it is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import MaskFlags, Resampling
from rasterio.windows import Window

from fusion_core.errors import DecodeError
from fusion_core.images.samples import can_hold
from fusion_core.metrics.scaling import Scaling
from fusion_core.models.tiling.grid import Slices
from fusion_core.scenes.bands import BandLayout
from fusion_core.scenes.grid import SceneGrid
from fusion_core.scenes.raster import Raster
from fusion_core.scenes.warp_source import warped
from fusion_core.settings.scaling import Side
from fusion_core.settings.scenes import SceneSettings

Read = tuple[Any, Any]
"""Bands (N, H, W) and the masks of those with values, None where every pixel holds data."""

_WIDE = 16  # bits, where a type isn't a photograph's
_PIECE = 2048  # pixels a side, of one band


@dataclass(frozen=True)
class AlignedPixels:
    """The pixels of a window of one image.

    Attributes:
        bands: All bands of the file, (N, H, W), in its type.
        luminance: Their luminance, (H, W), in the units that the file declares.
        valid: Where there is data, (H, W): in one band at least, and by the mask if there is one.
    """

    bands: NDArray[Any]
    luminance: NDArray[np.float64]
    valid: NDArray[np.bool_]


class AlignedRaster:
    """One image of a scene pair on the scene's grid.

    Args:
        raster: The image.
        grid: The scene's grid, and how this image gets there.
        settings: Nodata and resampling.
        warped: Whether it has to be warped to get there.
    """

    def __init__(self, raster: Raster, grid: SceneGrid, settings: SceneSettings, *, warped: bool):
        self.raster = raster
        self.grid = grid
        self.warped = warped
        self.dtype: str = raster.dataset.dtypes[0]
        self.layout = BandLayout.of_file(raster.dataset)
        self.declared: float | None = raster.dataset.nodata
        self.nodata = self.declared
        given = settings.nodata_value
        if self.declared is None and given is not None and can_hold(self.dtype, given):
            self.nodata = given
        self._resampling = Resampling[settings.resampling]
        self._full = ExitStack()
        self._source: Any = None
        self._open()

    @property
    def tells_no_data(self) -> bool:
        """Whether file or settings say which pixels hold no data: by value, mask or alpha."""
        with self.raster.reading():
            flags = self.raster.dataset.mask_flag_enums
        told = self.nodata is not None or self.layout.alpha is not None
        return told or any(MaskFlags.all_valid not in band for band in flags)

    def treat_as_nodata(self, value: float) -> None:
        """Go on as if the settings had said that a value means no data."""
        self.nodata = value
        if self.warped:  # or resampling would mix the value into its neighbours
            self._full.close()
            self._open()

    def _open(self) -> None:
        with self.raster.reading():
            self._source = self._full.enter_context(
                self._on_grid(self.grid.height, self.grid.width, self._resampling)
            )

    def close(self) -> None:
        """Let go of the warped view, if there is one."""
        self._full.close()

    def read(self, window: Slices) -> AlignedPixels:
        """Read a window; raises ReadError or DecodeError."""
        with self.raster.reading():
            return self._pixels(*self._read(self._source, self._window(*window)))

    def decimated(self, step: int) -> AlignedPixels:
        """Read every ``step``-th row and column of the whole scene; raises as ``read``.

        Returns:
            (⌈H / step⌉, ⌈W / step⌉) pixels.
        """
        height, width = -(-self.grid.height // step), -(-self.grid.width // step)
        dataset = self.raster.dataset
        try:
            with self.raster.reading():
                if self.warped:
                    with self._on_grid(height, width, Resampling.nearest) as coarse:
                        return self._pixels(*self._read(coarse, Window(0, 0, width, height)))
                if dataset.overviews(1):
                    everything = self._window(slice(0, self.grid.height), slice(0, self.grid.width))
                    return self._pixels(*self._read(dataset, everything, (height, width)))
                return self._pixels(*self._sampled(step))
        except DecodeError as error:
            if not dataset.overviews(1):
                raise
            raise DecodeError(
                f"{error}. The file lists overviews, of which one may be missing: make them anew "
                "(gdaladdo)"
            ) from error

    def revalidated(self, pixels: AlignedPixels, step: int) -> AlignedPixels:
        """Return what ``decimated`` gave as it is since ``treat_as_nodata``; raises as ``read``."""
        # A file that declares nothing has no masks, so that only a warped view must be read again.
        return self.decimated(step) if self.warped else self._pixels(pixels.bands, None)

    def _sampled(self, step: int) -> Read:
        """Read piece by piece and keep every ``step``-th row and column.

        GDAL skips row by row, and decodes blocks again for each where its cache is too small for a
        row of blocks.
        """
        side = int(_PIECE / math.sqrt(self.raster.dataset.count))
        piece = -(-side // step) * step
        parts = [
            [
                self._read(self._source, self._window(rows, columns), None, step)
                for columns in _pieces(self.grid.width, piece)
            ]
            for rows in _pieces(self.grid.height, piece)
        ]
        bands, masks = (
            None
            if parts[0][0][k] is None
            else np.concatenate([np.concatenate([part[k] for part in row], 2) for row in parts], 1)
            for k in (0, 1)
        )
        return bands, masks

    def choose_scaling(
        self, settings: SceneSettings, side: Side, sample: NDArray[np.float64]
    ) -> tuple[str, Scaling]:
        """Choose the image's scaling.

        Args:
            settings: What scaling is wanted.
            side: Which side of the pair it is.
            sample: Luminances of valid pixels from all over the scene.

        Returns:
            The name of the scaling that was taken, and the scaling.
        """
        described = self.raster.description
        unsigned = np.dtype(self.dtype).kind == "u"
        return settings.choose(
            side,
            container=self.layout.container(self.dtype, described.bits),
            bits=described.bits if unsigned else _WIDE,
            photograph=described.is_photograph,
            sample=sample,
        )

    @contextmanager
    def _on_grid(self, height: int, width: int, resampling: Resampling) -> Iterator[Any]:
        """Open the image on the scene's grid, at so many pixels."""
        dataset = self.raster.dataset
        if not self.warped:
            yield dataset
            return
        options = self.grid.warp_options(dataset, height, width)
        with warped(dataset, self.grid.source, options, resampling, self.nodata) as view:
            yield view

    def _window(self, rows: slice, columns: slice) -> Window:
        top, left = (0, 0) if self.warped else (self.grid.top, self.grid.left)
        return Window.from_slices(
            (rows.start + top, rows.stop + top), (columns.start + left, columns.stop + left)
        )

    def _read(
        self, source: Any, window: Window, shape: tuple[int, int] | None = None, step: int = 1
    ) -> Read:
        """Read all bands, and the masks of those that hold values where there are any."""
        count = self.raster.dataset.count
        every = list(range(1, count + 1))
        out_shape = None if shape is None else (count, *shape)
        bands = source.read(every, window=window, out_shape=out_shape)[:, ::step, ::step]
        data = [k + 1 for k in self.layout.data]
        # Copied where pixels are skipped, to let go of those.
        bands = bands if step == 1 else bands.copy()
        if all(MaskFlags.all_valid in source.mask_flag_enums[k - 1] for k in data):
            return bands, None
        out_shape = None if shape is None else (len(data), *shape)
        masks = source.read_masks(data, window=window, out_shape=out_shape)[:, ::step, ::step]
        return bands, masks if step == 1 else masks.copy()

    def _pixels(self, bands: NDArray[Any], masks: NDArray[np.uint8] | None) -> AlignedPixels:
        valid: NDArray[np.bool_] = np.full(bands.shape[1:], True)
        if masks is not None:
            valid &= (masks > 0).any(axis=0)
        # GDAL's masks leave out the nodata value of a file that has a mask, and the opacity beside
        # other numbers of bands than one and three.
        if self.nodata is not None and not math.isnan(self.nodata):
            valid &= (bands[list(self.layout.data)] != self.nodata).any(axis=0)
        if self.layout.alpha is not None:
            valid &= bands[self.layout.alpha] > 0
        luminance = self.layout.luminance(bands, self.nodata)
        known = np.isfinite(luminance)
        return AlignedPixels(bands, np.where(known, luminance, 0), valid & known)


def _pieces(total: int, piece: int) -> list[slice]:
    """Cut a side of ``total`` pixels into pieces."""
    return [slice(start, min(start + piece, total)) for start in range(0, total, piece)]
