"""What a file declares of its pixels, in one form for whoever reads them.

Pillow and GDAL each honour some of what a file declares and pass over the rest. Both readers fill
in a ``Description``, from the file's content alone: neither its name nor the other file of a pair
has a say in what it means. What can't be honoured is refused here, with its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from fusion_core.images.jp2_boxes import Jp2Boxes
from fusion_core.images.tiff_tags import TiffTags

Colours = Literal["grey", "rgb", "palette", "cmyk", "lab", "bands", "mosaic", "other"]
Alpha = Literal["none", "straight", "premultiplied"]

_BY_PHOTOMETRIC: dict[int, Colours] = {
    0: "grey",
    1: "grey",
    2: "rgb",
    3: "palette",
    5: "cmyk",
    6: "rgb",  # YCbCr, which GDAL shows as RGB
    8: "lab",
    9: "lab",
    10: "lab",
    32803: "mosaic",
    34892: "mosaic",
}
_CHANNELS = {"grey": 1, "palette": 1, "rgb": 3, "lab": 3, "cmyk": 4}
_ALPHA: dict[int, Alpha] = {1: "premultiplied", 2: "straight"}
_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_PHOTOGRAPHS = ("uint8", "uint16")
_KNOWN = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)} | {
    f"float{bits}" for bits in (16, 32, 64)
}


@dataclass(frozen=True, kw_only=True)
class Description:
    """What a file declares of its pixels.

    Attributes:
        colours: What the channels are: one of grey, red-green-blue, indices into a palette, inks,
            L*a*b*, or bands of any other number or kind; "mosaic" is a camera's raw sensor.
        dtype: Type of the values, as NumPy names it; "other" for mixed and complex ones.
        bits: How many bits of it are used.
        alpha: Whether a channel of opacity lies behind the colours, and whether they are multiplied
            by it.
        orientation: How the picture lies, 1 to 8, as EXIF and TIFF count; 1 is upright.
        inverted: Whether the smallest value is white (MinIsWhite).
        pages: Pictures in the file.
        placed: Whether it has a place on Earth.
        nodata: Whether it declares a value that means no data, or a scale and offset.
        scaled: Whether it declares a scale or an offset of its values.
    """

    colours: Colours
    dtype: str
    bits: int
    alpha: Alpha = "none"
    orientation: int = 1
    inverted: bool = False
    pages: int = 1
    placed: bool = False
    nodata: bool = False
    scaled: bool = False

    @property
    def white(self) -> int:
        """Largest value that an unsigned type of so many bits holds."""
        return int((1 << self.bits) - 1)

    @property
    def is_photograph(self) -> bool:
        """Tell whether it is a picture in grey or colour of up to 16 bits, and nothing more."""
        declared = self.placed or self.nodata or self.scaled
        return not declared and self.dtype in _PHOTOGRAPHS and self.colours != "bands"

    @property
    def as_stored(self) -> bool:
        """Tell whether the values, as they are stored, mean what they seem to."""
        upright = self.orientation == 1 and not self.inverted
        plain = self.colours in ("grey", "rgb", "bands") and self.alpha != "premultiplied"
        return upright and plain

    def problem(self, *, scene: bool = False) -> str | None:
        """Return why such a file can't be fused and what to do about it; None where it can be.

        Args:
            scene: Whether it is read as a scene in any case, as large photographs are.
        """
        if self.colours == "mosaic":
            return (
                "it is a camera's raw file, with a colour filter before each pixel; expected a "
                "developed picture. Convert it to TIFF with the camera's software"
            )
        if self.colours == "other":
            return (
                "its photometric interpretation is none that is fused; expected grey, RGB, a "
                "palette, CMYK, YCbCr or CIE L*a*b*. Convert it"
            )
        if self.pages > 1:
            return (
                f"the file holds {self.pages} pages of one size; expected a single picture, since "
                "choosing a page would be a guess. Split it (tiffsplit)"
            )
        if self.inverted and self.dtype.startswith("float"):
            return (
                "it declares that its smallest value is white (MinIsWhite), which has no meaning "
                f"for {self.dtype}; expected MinIsBlack. Correct the photometric interpretation"
            )
        if scene or not self.is_photograph:
            return self._scene_problem()
        return self._depth_problem()

    def _depth_problem(self) -> str | None:
        if self.colours in ("palette", "lab") and self.dtype != "uint8":
            return (
                f"its {self.colours} pixels have {self.bits} bits; expected 8 or fewer. Convert it "
                "to RGB"
            )
        if self.colours == "cmyk" and self.bits not in (8, 16):
            return f"its CMYK pixels have {self.bits} bits; expected 8 or 16. Convert it to RGB"
        return None

    def _scene_problem(self) -> str | None:
        if self.orientation != 1 and self.placed:
            return (
                f"it has a place on Earth and an orientation tag of {self.orientation}, which "
                "turn it two ways; expected the orientation 1. Correct the tag (274)"
            )
        if self.colours == "palette":
            return (
                "the pixels are indices into a palette; expected values. Expand it to RGB "
                "(gdal_translate -expand rgb)"
            )
        if self.bits < 8:
            return f"the pixels have {self.bits} bits; expected 8 or more. Store it as 8 bits"
        if self.colours in ("cmyk", "lab"):
            name = {"cmyk": "CMYK", "lab": "CIE Lab"}[self.colours]
            return f"its colours are {name}; expected grey, RGB or bands of values. Convert it"
        return None


def describe_dataset(
    dataset: DatasetReader, tags: TiffTags | None = None, boxes: Jp2Boxes | None = None
) -> Description:
    """Describe a file that GDAL has opened.

    Args:
        dataset: The open file.
        tags: Its tags, of a TIFF file; they tell what GDAL passes over.
        boxes: Its boxes, of a JPEG 2000 file, likewise.
    """
    colours, alpha = _by_tags(tags) if tags else _by_interpretation(dataset, boxes)
    kinds = set(dataset.dtypes)
    dtype = dataset.dtypes[0] if len(kinds) == 1 and kinds <= _KNOWN else "other"
    whole = 8 * np.dtype(dtype).itemsize if dtype != "other" else 8
    bits = int(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS", whole))
    places = (dataset.crs, dataset.gcps[0], dataset.rpcs, not dataset.transform.is_identity)
    return Description(
        colours=colours,
        dtype=dtype,
        bits=bits,
        alpha=alpha,
        orientation=tags.orientation if tags else 1,
        inverted=tags is not None and tags.photometric == 0,
        pages=tags.pages if tags else 1,
        placed=any(bool(place) for place in places),
        nodata=dataset.nodata is not None,
        scaled=set(dataset.scales) != {1.0} or set(dataset.offsets) != {0.0},
    )


def _by_tags(tags: TiffTags) -> tuple[Colours, Alpha]:
    if tags.raw or tags.reduced:
        return "mosaic", "none"
    colours = _BY_PHOTOMETRIC.get(tags.photometric, "other")
    if colours == "grey" and tags.palette:
        colours = "palette"  # GDAL writes it so where it is given the palette late
    if colours in ("mosaic", "other"):
        return colours, "none"
    if colours == "grey" and tags.samples == _CHANNELS["rgb"] and not any(tags.extra):
        return "rgb", "none"  # as many programs write it, GDAL first of all
    beside = tags.samples - _CHANNELS[colours]
    alphas = [_ALPHA[kind] for kind in tags.extra[:beside] if kind in _ALPHA]
    if colours != "palette" and (beside != len(alphas) or beside > 1):
        colours = "bands"
    return colours, alphas[0] if alphas else "none"


def _by_interpretation(dataset: DatasetReader, boxes: Jp2Boxes | None) -> tuple[Colours, Alpha]:
    kinds = list(dataset.colorinterp)
    alpha: Alpha = "straight" if ColorInterp.alpha in kinds else "none"
    data = [kind for kind in kinds if kind is not ColorInterp.alpha]
    if ColorInterp.palette in data:
        return "palette", alpha
    if boxes is not None and boxes.alpha == "premultiplied":
        alpha, data = boxes.alpha, data[: dataset.count - 1]
    if len(data) == 1:
        return "grey", alpha
    if boxes is not None and boxes.space == "rgb" and len(data) == len(_RGB):
        return "rgb", alpha
    return ("rgb" if tuple(data) == _RGB else "bands"), alpha
