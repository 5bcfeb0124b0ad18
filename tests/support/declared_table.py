"""The table of properties: every property, its values, and the files that declare them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import declared_colour as colour
import declared_samples as samples
import declared_storage as storage
from declared import CONTAINERS, Cell

SIDES = ("infrared", "visible")
KINDS = ("photograph", "scene")
"""What the other file of a pair is: a photograph, or a raster of float32."""


@dataclass(frozen=True)
class Property:
    """A property that files declare.

    Attributes:
        values: What it may be.
        make: Makes the file that declares a value in a container, or says why there is none.
    """

    values: tuple[str, ...]
    make: Callable[[str, str], Cell]


PROPERTIES = {
    "orientation": Property(colour.ORIENTATION, colour.orientation),
    "orientation of float32": Property(colour.ORIENTATION_FLOAT, colour.orientation_float),
    "polarity": Property(colour.POLARITY, colour.polarity),
    "alpha": Property(samples.ALPHA, samples.alpha),
    "extra band": Property(samples.EXTRA, samples.extra),
    "palette": Property(colour.PALETTE, colour.palette),
    "CMYK": Property(colour.CMYK, colour.cmyk),
    "CIELab": Property(colour.LAB, colour.lab),
    "YCbCr": Property(colour.YCBCR, colour.ycbcr),
    "colour profile": Property(colour.ICC, colour.icc),
    "bits": Property(samples.DEPTH, samples.depth),
    "sample type": Property(samples.TYPE, samples.sample_type),
    "planar": Property(storage.PLANAR, storage.planar),
    "predictor": Property(storage.PREDICTOR, storage.predictor),
    "compression": Property(storage.COMPRESSION, storage.compression),
    "pages": Property(storage.PAGES, storage.pages),
    "nodata": Property(storage.NODATA, storage.nodata),
    "byte order": Property(storage.ORDER, storage.order),
    "layout": Property(storage.LAYOUT, storage.layout),
    "name": Property(storage.NAME, storage.name),
}


@dataclass(frozen=True, order=True)
class Key:
    """Which cell of the table.

    Attributes:
        name: The property.
        value: What the file declares it to be.
        container: The file's format.
        side: Which file of the pair it is.
        kind: What the other file is.
    """

    name: str
    value: str
    container: str
    side: str
    kind: str

    def __str__(self) -> str:
        return " / ".join((self.name, self.value, self.container, self.side, self.kind))


def keys(name: str) -> Iterator[Key]:
    """Yield all cells of a property, whether or not there is a file for them."""
    for value in PROPERTIES[name].values:
        for container in CONTAINERS:
            for side in SIDES:
                for kind in KINDS:
                    yield Key(name, value, container, side, kind)


@functools.cache
def cell(name: str, value: str, container: str) -> Cell:
    """Return the file that declares a value in a container, or why there is none."""
    return PROPERTIES[name].make(value, container)
