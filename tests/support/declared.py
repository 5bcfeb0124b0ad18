"""What a file means, known from how it was made and never from reading it.

``declared_table`` makes the files of the table; ``declared_judge`` compares what became of them
with what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SIZE = (48, 64)
"""Height and width of every upright image."""

CONTAINERS = ("png", "jpeg", "webp", "tiff", "bigtiff", "geotiff", "jp2", "geojp2")
TIFFS = ("tiff", "bigtiff", "geotiff")
JP2S = ("jp2", "geojp2")
PLACED = ("geotiff", "geojp2")
SUFFIXES = {
    "png": ".png",
    "jpeg": ".jpg",
    "webp": ".webp",
    "tiff": ".tif",
    "bigtiff": ".tif",
    "geotiff": ".tif",
    "jp2": ".jp2",
    "geojp2": ".jp2",
}
JPEG_TOLERANCE = 4 / 255
"""Share of black to white by which quality 100 without subsampling may miss smooth pixels."""

Values = NDArray[Any]
Alpha = Literal["straight", "associated"]


@dataclass(frozen=True)
class NotApplicable:
    """A cell that there can be no file of.

    Attributes:
        reason: Why the container can't declare the property.
    """

    reason: str


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """The image that a file means.

    Attributes:
        values: Bands that hold values, upright, (C, H, W): grey, or RGB, or RGB and others.
        limits: Lowest and highest value that the container can hold.
        rgb: Whether the first three bands are red, green and blue.
        valid: Where there is data, (H, W).
        opacity: Alpha, (H, W) in [0, 1]; None where the file has none.
        scene: Whether the file is a scene by itself; None where it may be taken for either.
        placed: Whether it has a place on Earth.
        narrow: Whether the values use so little of the limits that they are scaled by themselves.
        tolerance: Share of the limits' span by which decoded values may differ.
        icc: Its colour profile, None where it has none.
    """

    values: Values
    limits: tuple[float, float]
    rgb: bool
    valid: NDArray[np.bool_]
    opacity: NDArray[np.float64] | None = None
    scene: bool | None = False
    placed: bool = False
    narrow: bool = False
    tolerance: float = 0.0
    icc: bytes | None = None

    @property
    def span(self) -> float:
        """Distance from the lowest value to the highest."""
        return self.limits[1] - self.limits[0]

    def luminance(self) -> NDArray[np.float64]:
        """Return the luminance (H, W): of red, green and blue, else the mean of all bands."""
        wide = self.values.astype(np.float64)
        if not self.rgb:
            return np.asarray(wide.mean(axis=0))
        return np.asarray(0.299 * wide[0] + 0.587 * wide[1] + 0.114 * wide[2])


@dataclass(frozen=True)
class Declared:
    """A file of the table.

    Attributes:
        body: Its bytes.
        meaning: What it means.
        suffix: How its name ends; None for the container's own.
    """

    body: bytes
    meaning: Meaning
    suffix: str | None = None


Cell = Declared | NotApplicable


def meaning(
    values: Values,
    container: str,
    *,
    opacity: NDArray[np.float64] | None = None,
    valid: NDArray[np.bool_] | None = None,
    limits: tuple[float, float] | None = None,
    scene: bool | None = False,
    **more: Any,
) -> Meaning:
    """Return what values (C, H, W) or (H, W) mean; a scene by its place, type or bands, or told."""
    bands = values[None] if values.ndim == 2 else values
    kind = bands.dtype
    photograph = kind in (np.uint8, np.uint16) and len(bands) in (1, 3)
    for_sure = container in PLACED or not photograph
    where = np.full(bands.shape[1:], True) if valid is None else valid
    if opacity is not None:
        where = where & (opacity > 0)
    return Meaning(
        values=bands,
        limits=limits or type_limits(kind),
        rgb=len(bands) >= 3,
        valid=where,
        opacity=opacity,
        scene=for_sure or scene,
        placed=container in PLACED,
        **more,
    )


def type_limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    """Return the lowest and highest value of whole numbers of a type; 0 and 1 for others."""
    if dtype.kind == "f":
        return 0.0, 1.0
    return float(np.iinfo(dtype).min), float(np.iinfo(dtype).max)


def fields() -> NDArray[np.float64]:
    """Return four smooth fields (4, H, W) that span [0, 1], of which none is another one turned."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] / (np.array(SIZE)[:, None, None] - 1)
    every = (
        0.75 * x + 0.25 * y**2,
        0.6 * y + 0.4 * (1 - x) ** 2,
        np.exp(-((x - 0.3) ** 2 + (y - 0.7) ** 2) / 0.08) + 0.3 * x * y,
        0.5 * x**2 + 0.3 * (1 - y) + 0.4 * np.exp(-((x - 0.7) ** 2 + (y - 0.2) ** 2) / 0.05),
    )
    return np.stack([(one - one.min()) / (one.max() - one.min()) for one in every])


def counts(top: int, bands: int, dtype: str) -> Values:
    """Return bands (C, H, W) of whole numbers that span 0 to ``top``."""
    return np.rint(fields()[:bands] * top).astype(dtype)


def hole() -> NDArray[np.bool_]:
    """Return where an image with absent pixels holds data: all but a corner and a strip."""
    whole = np.full(SIZE, True)
    whole[:9, :17] = False
    whole[30:33, 40:] = False
    return whole


def opacity(top: int) -> NDArray[np.float64]:
    """Return an alpha (H, W) in [0, 1] of whole multiples of 1 / top: 0 in the hole, else high."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    steps = np.rint((0.5 + 0.5 * ((x + 2 * y) % 61) / 60) * top)
    return np.where(hole(), steps, 0) / top


def as_stored(upright: Values, orientation: int) -> Values:
    """Return rows and columns (…, H, W) as a file of that EXIF orientation stores them.

    The orientation says which sides of the upright image the first stored row and the first stored
    column are: 1 top left, 2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top,
    7 right bottom, 8 left bottom.
    """
    height, width = upright.shape[-2:]
    turned = orientation >= 5
    i, j = np.mgrid[: width if turned else height, : height if turned else width]
    rows, columns = {
        1: (i, j),
        2: (i, width - 1 - j),
        3: (height - 1 - i, width - 1 - j),
        4: (height - 1 - i, j),
        5: (j, i),
        6: (j, width - 1 - i),
        7: (height - 1 - j, width - 1 - i),
        8: (height - 1 - j, i),
    }[orientation]
    return np.ascontiguousarray(upright[..., rows, columns])
