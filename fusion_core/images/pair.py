"""A pair of photographs on the way to the model and back: scaled, filled, coloured again.

Photographs hold 8 or 16 bits, or counts of a thermal camera in a file of 16. What becomes black and
white for the model and the metrics is chosen once for each side; where a side shows nothing (its
alpha is 0, or it has the value that means no data), the visible image stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.images.colour import luminance, replace_luminance
from fusion_core.images.nodata_fill import filled
from fusion_core.images.picture import Picture
from fusion_core.metrics.greyscale import to_grey255
from fusion_core.metrics.scaling import Scaling, luminances
from fusion_core.settings.scaling import ScalingSettings, Side

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class ScaledPicture:
    """One side of a pair, with what its values become.

    Attributes:
        picture: The decoded image.
        scaling_name: Which scaling was taken: range, type or percentiles.
        scaling: The same, in numbers, in the image's units.
        valid: Where it shows something, (H, W); None where it does everywhere.
    """

    picture: Picture
    scaling_name: str
    scaling: Scaling
    valid: Mask | None

    @classmethod
    def of(cls, picture: Picture, side: Side, settings: ScalingSettings) -> ScaledPicture:
        """Find where a picture shows something, and choose its scaling."""
        valid = _valid(picture, settings.nodata_value)
        name, scaling = settings.choose(
            side,
            container=(0.0, float(picture.top)),
            bits=picture.top.bit_length(),
            photograph=True,
            sample=luminances(picture.pixels, valid),
        )
        return cls(picture, name, scaling, valid)

    def luminance(self) -> NDArray[np.float32]:
        """Return its luminance in [0, 1], (H, W)."""
        return luminance(self.picture.pixels, self.scaling)

    def grey255(self, pixels: NDArray[Any] | None = None) -> NDArray[np.uint8]:
        """Return its grey values for the metrics, or those of other ``pixels`` in its units."""
        return to_grey255(self.picture.pixels if pixels is None else pixels, self.scaling)


@dataclass(frozen=True)
class PicturePair:
    """A pair of photographs of one size.

    Attributes:
        ir: The infrared side.
        vi: The visible side.
    """

    ir: ScaledPicture
    vi: ScaledPicture

    @classmethod
    def of(cls, ir: Picture, vi: Picture, settings: ScalingSettings) -> PicturePair:
        """Make a pair of two pictures of one size."""
        return cls(ScaledPicture.of(ir, "ir", settings), ScaledPicture.of(vi, "vi", settings))

    def following(self, ir: Picture, vi: Picture, settings: ScalingSettings) -> PicturePair:
        """Make the pair of two other frames of the same clip, which are scaled as this one is."""
        sides = (
            replace(before, picture=picture, valid=_valid(picture, settings.nodata_value))
            for before, picture in ((self.ir, ir), (self.vi, vi))
        )
        return PicturePair(*sides)

    @property
    def valid(self) -> Mask | None:
        """Where both sides show something, (H, W); None where they do everywhere."""
        masks = [side.valid for side in (self.ir, self.vi) if side.valid is not None]
        return None if not masks else np.logical_and.reduce(masks)

    @property
    def scaling_names(self) -> tuple[str, str]:
        """Which scaling the infrared and the visible side got: range, type or percentiles."""
        return self.ir.scaling_name, self.vi.scaling_name

    @property
    def overlap(self) -> float:
        """Share of what the visible image shows that is fused, 0 to 1."""
        return self._fused_pixels / max(1, self._visible_pixels)

    @property
    def _fused_pixels(self) -> int:
        height, width = self.vi.picture.pixels.shape[:2]
        return height * width if self.valid is None else int(self.valid.sum())

    @property
    def _visible_pixels(self) -> int:
        height, width = self.vi.picture.pixels.shape[:2]
        return height * width if self.vi.valid is None else int(self.vi.valid.sum())

    def remark(self) -> str | None:
        """Say what a reader of the fused image should know of the two pictures, if anything."""
        told = [
            f"{name}: {side.picture.remark}"
            for name, side in (("infrared", self.ir), ("visible", self.vi))
            if side.picture.remark
        ]
        if alone := self._visible_pixels - self._fused_pixels:
            told.append(f"{alone} pixels without infrared keep the visible values")
        return "; ".join(told) or None

    def luminances(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return infrared and visible luminance, (H, W) in [0, 1], smooth where there is none."""
        return _smooth(self.ir.luminance(), self.ir.valid), _smooth(self._visible, self.vi.valid)

    @cached_property
    def _visible(self) -> NDArray[np.float32]:
        """The visible luminance, which is wanted once more when the fused one takes its place."""
        return self.vi.luminance()

    def fused(self, unit: NDArray[np.float32]) -> Picture:
        """Return the visible picture with a fused luminance, where both sides show something.

        Args:
            unit: Fused luminance, (H, W) in [0, 1].
        """
        picture, valid = self.vi.picture, self.valid
        pixels = replace_luminance(
            picture.pixels, unit, self.vi.scaling, picture.top, before=self._visible
        )
        if valid is not None:
            pixels[~valid] = picture.pixels[~valid]
        return replace(picture, pixels=pixels)

    def greys(
        self, fused: NDArray[Any]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
        """Return infrared, visible and fused grey values for the metrics, (H, W).

        Args:
            fused: Pixels of a fused image. Those of the visible image's type are in its units;
                others, of another program's image, take their own type's range.
        """
        same = fused.dtype == self.vi.picture.pixels.dtype
        grey = self.vi.grey255(fused) if same else to_grey255(fused)
        return self.ir.grey255(), self.vi.grey255(), grey


def _smooth(found: NDArray[np.float32], valid: Mask | None) -> NDArray[np.float32]:
    return found if valid is None else filled(found, valid)


def without_nodata(picture: Picture, nodata: float | None) -> Picture:
    """Return a picture that is transparent where it has the value that means no data."""
    valid = _valid(picture, nodata)
    if nodata is None or valid is None:
        return picture
    top = np.iinfo(picture.pixels.dtype).max
    alpha = np.where(valid, top if picture.alpha is None else picture.alpha, 0)
    return replace(picture, alpha=alpha.astype(picture.pixels.dtype))


def _valid(picture: Picture, nodata: float | None) -> Mask | None:
    """Return where a picture shows something; None where it does everywhere."""
    valid: Mask = np.full(picture.pixels.shape[:2], True)
    if picture.alpha is not None:
        valid &= picture.alpha > 0
    if nodata is not None:
        holds = picture.pixels != nodata
        valid &= holds if holds.ndim == 2 else holds.any(axis=2)
    return None if valid.all() else valid
