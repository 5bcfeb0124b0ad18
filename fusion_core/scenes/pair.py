"""A pair of images of a scene, read in windows on one grid and scaled for the model."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.archive.plan import PairRef
from fusion_core.errors import OverlapError
from fusion_core.images.nodata_fill import filled
from fusion_core.images.samples import check_nodata
from fusion_core.metrics.scaling import Scaling
from fusion_core.models.grid_sampling import sampling_matrix
from fusion_core.models.tiling.grid import Slices
from fusion_core.models.tiling.patches import sample_patches
from fusion_core.scenes.aligned_raster import AlignedPixels, AlignedRaster
from fusion_core.scenes.grid import SceneGrid, match_grids
from fusion_core.scenes.localised import in_tiles, open_image
from fusion_core.scenes.raster_checks import check_upright, check_worth
from fusion_core.scenes.undeclared_fill import UndeclaredFill, undeclared_fill
from fusion_core.settings.scaling import Side
from fusion_core.settings.scenes import SceneSettings
from fusion_core.storage.store import Storage

PREVIEW_SIDE = 1024
"""Longest side of the decimated read from which scaling and fill are taken."""


@dataclass(frozen=True, kw_only=True)
class ScenePixels:
    """The pixels of a window of a scene pair, ready for the model.

    Attributes:
        bands: The visible image's bands, (N, H, W), in its type.
        luminance: Their luminance, (H, W), in their units.
        ir: Infrared luminance in [0, 1], (H, W), float32; filled where there are no data.
        vi: Visible luminance, likewise.
        vi_valid: Where the visible image holds data, (H, W).
        valid: Where both images hold data: the pixels that are fused and scored.
    """

    bands: NDArray[Any]
    luminance: NDArray[np.float64]
    ir: NDArray[np.float32]
    vi: NDArray[np.float32]
    vi_valid: NDArray[np.bool_]
    valid: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class ScenePreview:
    """A decimated read of a scene pair.

    Attributes:
        ir: Infrared luminance in [0, 1], (H, W), float32; filled where there are no data.
        vi: Visible luminance, likewise.
        valid: Where both images hold data, (H, W).
        step: One pixel in so many was read along each side.
    """

    ir: NDArray[np.float32]
    vi: NDArray[np.float32]
    valid: NDArray[np.bool_]
    step: int


class ScenePair:
    """A pair of images on the scene's grid; one thread at a time reads.

    Attributes:
        grid: The grid that is fused on.
        ir: The infrared image.
        vi: The visible image.
        scaling_names: Names of the scalings of the infrared and of the visible image.
        scalings: The scalings themselves.
        preview: Both images in small, as they lie on the grid.
        undeclared_fill: What was found to mean no data though neither file nor settings say so.
    """

    def __init__(
        self, ir: AlignedRaster, vi: AlignedRaster, grid: SceneGrid, settings: SceneSettings
    ):
        self.grid, self.ir, self.vi = grid, ir, vi
        step = max(1, math.ceil(max(grid.height, grid.width) / PREVIEW_SIDE))
        previews: dict[Side, AlignedPixels] = {
            "ir": ir.decimated(step),
            "vi": vi.decimated(step),
        }
        self.undeclared_fill: UndeclaredFill | None = None
        if settings.nodata is None:
            self.undeclared_fill = self._take_fill_out(previews, step)
        valid = previews["ir"].valid & previews["vi"].valid
        if not valid.any():
            raise OverlapError(
                f"{ir.raster.path} and {vi.raster.path} hold data at no common place, by a read of "
                f"one pixel in {step} along each side; expected valid pixels in both. Check the "
                "nodata values, and which files were paired"
            )
        chosen = {
            side: image.choose_scaling(settings, side, pixels.luminance[pixels.valid])
            for (side, pixels), image in zip(previews.items(), (ir, vi), strict=True)
        }
        self.scaling_names = chosen["ir"][0], chosen["vi"][0]
        self.scalings = chosen["ir"][1], chosen["vi"][1]
        units = [
            filled(scaling.unit(pixels.luminance), pixels.valid)
            for scaling, pixels in zip(self.scalings, previews.values(), strict=True)
        ]
        self.preview = ScenePreview(ir=units[0], vi=units[1], valid=valid, step=step)
        self._fill = [torch.from_numpy(unit) for unit in units]

    def _take_fill_out(
        self, previews: dict[Side, AlignedPixels], step: int
    ) -> UndeclaredFill | None:
        """Search for undeclared fill; where there is, take it for no data, in the previews too."""
        images: dict[Side, AlignedRaster] = {"ir": self.ir, "vi": self.vi}
        searched = not self.ir.tells_no_data, not self.vi.tells_no_data
        found = undeclared_fill(previews["ir"], previews["vi"], searched=searched)
        if found is not None:
            values: dict[Side, float | None] = {"ir": found.ir, "vi": found.vi}
            for side, value in values.items():
                if value is not None:
                    images[side].treat_as_nodata(value)
                    previews[side] = images[side].revalidated(previews[side], step)
        return found

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the scene."""
        return self.grid.height, self.grid.width

    @property
    def vi_scaling(self) -> Scaling:
        """The visible image's scaling, which is that of the fused scene too."""
        return self.scalings[1]

    def read(self, window: Slices) -> ScenePixels:
        """Read a window.

        Raises:
            ReadError: The store failed, or a file has changed.
            DecodeError: A file is damaged.
        """
        ir, vi = self.ir.read(window), self.vi.read(window)
        units = [
            self._filled(side, scaling.unit(pixels.luminance), pixels.valid, window)
            for side, (scaling, pixels) in enumerate(zip(self.scalings, (ir, vi), strict=True))
        ]
        return ScenePixels(
            bands=vi.bands,
            luminance=vi.luminance,
            ir=units[0],
            vi=units[1],
            vi_valid=vi.valid,
            valid=ir.valid & vi.valid,
        )

    def remark(self) -> str | None:
        """Say what a reader of the fused scene should know of its files, if anything."""
        told = [
            f"{name}: {side.raster.remark}"
            for name, side in (("infrared", self.ir), ("visible", self.vi))
            if side.raster.remark
        ]
        return "; ".join(told) or None

    def patches(self, cells: int, side: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Read full-resolution samples from all over the scene, laid out as one small scene.

        Args:
            cells: Cells of a grid over the scene, along each side; each gives one patch.
            side: Side of a patch in pixels. Where the patches would cover a side of the scene, that
                side is taken whole.

        Returns:
            Infrared and visible luminance in [0, 1], (h, w).
        """
        return sample_patches(self.read, self.size, cells, side)

    def _filled(
        self, side: int, unit: NDArray[np.float32], valid: NDArray[np.bool_], window: Slices
    ) -> NDArray[np.float32]:
        if valid.all():
            return unit
        coarse = self._fill[side]
        matrices = [
            sampling_matrix(
                cells, part.stop - part.start, part.start / total, (part.stop - part.start) / total
            )
            for cells, part, total in zip(coarse.shape, window, self.size, strict=True)
        ]
        spread = (matrices[0] @ coarse @ matrices[1].mT).numpy()
        return np.where(valid, unit, spread)


@contextmanager
def open_scene(
    source: Storage,
    ref: PairRef,
    settings: SceneSettings,
    *,
    folder: Path,
    max_megapixels: float,
) -> Iterator[ScenePair]:
    """Open both images of a pair as a scene; use it inside ``gdal_settings``.

    Args:
        source: Where the files are.
        ref: Which pair.
        settings: What the images' values become, and how they come to one grid.
        folder: Where copies of files may be put that can't be read in tiles as they lie.
        max_megapixels: Images of more are never taken for photographs.

    Raises:
        ReadError: A file is gone, has changed, or the store fails.
        DecodeError: A file is damaged, or of a kind that isn't fused.
        OverlapError: The images have no place on Earth in common.
        SizeMismatchError: They are matched by pixel and differ in size.
    """
    opened = partial(open_image, folder=folder, max_megapixels=max_megapixels)
    with (
        opened(source, ref.vi_path, ref.vi_bytes, ref.vi_version) as vi,
        opened(source, ref.ir_path, ref.ir_bytes, ref.ir_version) as ir,
    ):
        check_upright(vi)
        check_nodata(settings.nodata_value, ir.dataset.dtypes[0], vi.dataset.dtypes[0])
        grid = match_grids(vi, ir, resize=settings.size_mismatch == "resize_ir")
        vi_rows = slice(grid.top, grid.top + grid.height)
        check_worth(vi, grid.height, grid.width)
        check_worth(ir, grid.ir_rows.stop - grid.ir_rows.start, ir.dataset.width)
        with (
            in_tiles(vi, vi_rows, folder=folder) as vi_tiles,
            in_tiles(ir, grid.ir_rows, folder=folder) as ir_tiles,
            closing(AlignedRaster(ir_tiles, grid, settings, warped=not grid.same)) as infrared,
            closing(AlignedRaster(vi_tiles, grid, settings, warped=False)) as visible,
        ):
            yield ScenePair(infrared, visible, grid, settings)
