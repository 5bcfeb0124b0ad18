"""The bands of a scene: its luminance, and how a new luminance gets back into them.

- One band is its own luminance.
- Three bands are red, green and blue. Luminance is BT.601's, and every band changes by just the
  change of luminance, so that Cb and Cr are held, as in photographs.
- Of other numbers of bands the luminance is BT.601's of those that are marked red, green and blue,
  else the mean of all, and every band is multiplied by the ratio of the new luminance to the old
  one. Ratios between bands, and so normalised differences such as NDVI, are held. This is the
  injection of the Brovey transform (Gillespie, Kahle, Walker, Remote Sensing of Environment 22,
  1987). Where a luminance isn't positive there is no ratio, and the change is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from fusion_core.images.colour import BT601

_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass(frozen=True)
class BandLayout:
    """The roles of a file's bands.

    Attributes:
        data: Indices of the bands that hold values, from 0.
        weights: Share of each of these in the luminance.
        alpha: Index of the band that holds opacity, or None.
    """

    data: tuple[int, ...]
    weights: tuple[float, ...]
    alpha: int | None

    @classmethod
    def of(cls, colours: tuple[ColorInterp, ...]) -> BandLayout:
        """Derive the layout from the colour interpretations of a file's bands."""
        alpha = colours.index(ColorInterp.alpha) if ColorInterp.alpha in colours else None
        data = tuple(k for k in range(len(colours)) if k != alpha)
        marked = {colours[k]: k for k in data}
        if all(colour in marked for colour in _RGB):
            luma = dict(zip((marked[colour] for colour in _RGB), BT601, strict=True))
            return cls(data, tuple(luma.get(k, 0.0) for k in data), alpha)
        if len(data) == 3:
            return cls(data, BT601, alpha)
        return cls(data, (1 / len(data),) * len(data), alpha)

    def luminance(self, bands: NDArray[Any]) -> NDArray[np.float64]:
        """Return the luminance (H, W) of all bands of a file (N, H, W), in their units."""
        weighted = (
            w * bands[k].astype(np.float64) for k, w in zip(self.data, self.weights, strict=True)
        )
        return np.asarray(sum(weighted), np.float64)

    def replaced(
        self,
        bands: NDArray[Any],
        old: NDArray[np.float64],
        new: NDArray[np.float64],
        *,
        where: NDArray[np.bool_],
        nodata: float | None,
    ) -> NDArray[Any]:
        """Give bands a new luminance.

        Args:
            bands: All bands of a file, (N, H, W).
            old: Their luminance, (H, W), in their units.
            new: The new luminance, likewise.
            where: Pixels to be changed, (H, W).
            nodata: Value that no changed pixel may get, because it would count as absent.

        Returns:
            Bands of the same shape and type; whole numbers are rounded to the nearest, and what
            leaves the type's range is clipped. Alpha, and pixels outside ``where``, are as before.
        """
        result = bands.copy()
        positive = (old > 0) & (new > 0)
        ratio = np.divide(new, old, out=np.ones_like(old), where=positive)
        for k in self.data:
            values = bands[k].astype(np.float64)
            changed = values + (new - old)
            if len(self.data) not in (1, 3):
                changed = np.where(positive, values * ratio, changed)
            typed = _as_type(changed, bands.dtype, nodata)
            result[k][where] = typed[where]
        return result


def _as_type(
    values: NDArray[np.float64], dtype: np.dtype[Any], nodata: float | None
) -> NDArray[Any]:
    """Round and clip to a type, and move values that would be ``nodata`` next to it."""
    if dtype.kind == "f":
        typed = values.astype(dtype)
        if nodata is not None:
            inwards = -np.inf if nodata > 0 else np.inf  # there may be nothing beyond it
            typed[typed == nodata] = np.nextafter(dtype.type(nodata), dtype.type(inwards))
        return typed
    limits = np.iinfo(dtype)
    typed = np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
    if nodata is not None and limits.min <= nodata <= limits.max:
        typed[typed == nodata] = nodata + 1 if nodata < limits.max else nodata - 1
    return typed
