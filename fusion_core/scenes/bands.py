"""The bands of a scene: its luminance, and how a new luminance gets back into them.

All of it is in the units that the file declares by its bands' scales and offsets: reflectances or
temperatures, not the numbers that are stored for them.

- One band is its own luminance.
- Three bands are red, green and blue. Luminance is BT.601's, and every band changes by just the
  change of luminance, so that Cb and Cr are held, as in photographs.
- Of other numbers of bands the luminance is BT.601's of those that are marked red, green and blue,
  else the mean of all, and every band is multiplied by the ratio of the new luminance to the old
  one. Ratios between bands, and so normalised differences such as NDVI, are held. This is the
  injection of the Brovey transform (Gillespie, Kahle, Walker, Remote Sensing of Environment 22,
  1987). Where a luminance isn't positive there is no ratio, and the change is added.

A pixel that has no data in some bands has the luminance of the others. Where no data is 0 in an
unsigned type, though, 0 is as dark as a band can be, and counts as a value in a pixel that has
data in another band: water is that dark in the near infrared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from fusion_core.metrics.scaling import BT601

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


@dataclass(frozen=True)
class BandLayout:
    """The roles of a file's bands.

    Attributes:
        data: Indices of the bands that hold values, from 0.
        weights: Share of each of these in the luminance.
        alpha: Index of the band that holds opacity, or None.
        scales: What one step of each band of the file is in the declared units.
        offsets: What 0 of each band is in them.
    """

    data: tuple[int, ...]
    weights: tuple[float, ...]
    alpha: int | None
    scales: tuple[float, ...]
    offsets: tuple[float, ...]

    @classmethod
    def of_file(cls, dataset: DatasetReader) -> BandLayout:
        """Derive the layout from what a file declares of its bands."""
        return cls.of(dataset.colorinterp, tuple(dataset.scales), tuple(dataset.offsets))

    @classmethod
    def of(
        cls,
        colours: tuple[ColorInterp, ...],
        scales: tuple[float, ...] | None = None,
        offsets: tuple[float, ...] | None = None,
    ) -> BandLayout:
        """Derive the layout from bands' colour interpretations, scales (1) and offsets (0)."""
        declared = scales or (1.0,) * len(colours), offsets or (0.0,) * len(colours)
        alpha = colours.index(ColorInterp.alpha) if ColorInterp.alpha in colours else None
        data = tuple(k for k in range(len(colours)) if k != alpha)
        marked = {colours[k]: k for k in data}
        if all(colour in marked for colour in RGB):
            luma = dict(zip((marked[colour] for colour in RGB), BT601, strict=True))
            return cls(data, tuple(luma.get(k, 0.0) for k in data), alpha, *declared)
        if len(data) == 3:
            return cls(data, BT601, alpha, *declared)
        return cls(data, (1 / len(data),) * len(data), alpha, *declared)

    def values(self, bands: NDArray[Any], k: int) -> NDArray[np.float64]:
        """Return the values (H, W) of band ``k`` of a file (N, H, W) in its declared units."""
        values: NDArray[np.float64] = bands[k].astype(np.float64)
        if bands.dtype.kind in "iu" and (self.scales[k], self.offsets[k]) == (1, 0):
            return values  # as most files are, and what passes over a scene's pixels takes long
        values *= self.scales[k]
        values += self.offsets[k]
        return values

    def container(self, dtype: str, bits: int) -> tuple[float, float]:
        """Return the least and largest luminance that a type of so many bits can hold.

        0 and 1 for floats, which hold anything.
        """
        kind = np.dtype(dtype)
        if kind.kind == "f":
            return 0.0, 1.0
        low, high = (0, (1 << bits) - 1) if kind.kind == "u" else _limits(kind)
        ends = [
            sorted(
                (self.scales[k] * low + self.offsets[k], self.scales[k] * high + self.offsets[k])
            )
            for k in self.data
        ]
        black, white = (
            sum(weight * end[side] for weight, end in zip(self.weights, ends, strict=True))
            for side in (0, 1)
        )
        return black, white

    def luminance(self, bands: NDArray[Any], nodata: float | None = None) -> NDArray[np.float64]:
        """Return the luminance (H, W) of all bands of a file (N, H, W), in its declared units.

        NaN where no band that has a share in it holds data.

        Args:
            bands: The bands as they are stored.
            nodata: Value that means no data, if any; NaN always does.
        """
        total = np.zeros(bands.shape[1:])
        share: NDArray[np.float64] = np.zeros(())
        gaps = False
        for k, weight in zip(self.data, self.weights, strict=True):
            missing = _missing(bands[k], nodata)
            values = self.values(bands, k)
            if missing is not None and missing.any():
                gaps = True
                values[missing] = 0
                share = np.asarray(share + weight * ~missing)
            else:
                share = np.asarray(share + weight)
            total += weight * values
        if not gaps:
            return total
        return np.divide(total, share, out=np.full_like(total, np.nan), where=share > 0)

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
            old: Their luminance, (H, W), in the declared units.
            new: The new luminance, likewise.
            where: Pixels to be changed, (H, W).
            nodata: Value that no changed pixel may get, because it would count as absent.

        Returns:
            Bands of the same shape and type; whole numbers are rounded to the nearest, and what
            leaves the type's range is clipped. Alpha, pixels outside ``where``, and what holds no
            data in one band alone, are as before.
        """
        result = bands.copy()
        by_ratio = len(self.data) not in (1, 3)
        if by_ratio:
            positive = (old > 0) & (new > 0)
            ratio = np.divide(new, old, out=np.ones_like(old), where=positive)
        for k in self.data:
            values = self.values(bands, k)
            changed = values + (new - old)
            if by_ratio:
                changed = np.where(positive, values * ratio, changed)
            missing = _missing(bands[k], nodata)
            there = where if missing is None else where & ~missing
            stored = (changed - self.offsets[k]) / self.scales[k]
            typed = _as_type(np.where(there, stored, 0), bands.dtype, nodata, bands[k])
            np.copyto(result[k], typed, where=there)
        return result


def _missing(band: NDArray[Any], nodata: float | None) -> NDArray[np.bool_] | None:
    """Return where a band holds no data although another one may; None where it always does."""
    if band.dtype.kind == "f":
        missing: NDArray[np.bool_] = ~np.isfinite(band)
        if nodata is not None and np.isfinite(nodata):
            missing |= band == band.dtype.type(nodata)
        return missing
    if nodata is None or (nodata == 0 and band.dtype.kind == "u"):
        return None
    return np.asarray(band == nodata)


def _limits(kind: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


def _as_type(
    values: NDArray[np.float64],
    dtype: np.dtype[Any],
    nodata: float | None,
    before: NDArray[Any],
) -> NDArray[Any]:
    """Round and clip to a type, and move values that would become ``nodata`` next to it."""
    if dtype.kind == "f":
        typed = values.astype(dtype)
        if nodata is not None:
            inwards = -np.inf if nodata > 0 else np.inf  # there may be nothing beyond it
            typed[typed == nodata] = np.nextafter(dtype.type(nodata), dtype.type(inwards))
        return typed
    low, high = _limits(dtype)
    typed = np.clip(np.rint(values), low, high).astype(dtype)
    if nodata is not None and low <= nodata <= high:
        became = (typed == nodata) & (before != nodata)
        typed[became] = nodata + 1 if nodata < high else nodata - 1
    return typed
