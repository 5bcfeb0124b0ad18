"""What is really in an image, as labels name it, whatever file they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fusion_core.errors import SettingsError

Corners = tuple[float, float, float, float]
"""Left, top, width and height of a box."""


@dataclass(frozen=True)
class LabelBox:
    """A labelled box.

    Attributes:
        corners: In pixels, or in fractions of width and height where its image says so.
        class_name: Its class, as the labels call it, or as the detector does.
        crowd: Whether it is around several things at once: what is found in it counts for nothing.
    """

    corners: Corners
    class_name: str
    crowd: bool = False

    def times(self, width: float, height: float) -> Corners:
        """Return its corners in pixels, where they are fractions of this width and height."""
        x, y, wide, high = self.corners
        return x * width, y * height, wide * width, high * height


@dataclass(frozen=True)
class LabelledImage:
    """The labels of one image; without boxes it was looked at, and nothing is there.

    Attributes:
        name: What its labels call it: a path or file name, with or without its suffix.
        where: The file that its labels are in, for messages.
        boxes: Its boxes.
        size: Its height and width where the labels say it; else boxes are in fractions.
        pair_id: Its pair, where that is known already.
    """

    name: str
    where: str
    boxes: tuple[LabelBox, ...]
    size: tuple[int, int] | None = None
    pair_id: str | None = None

    def in_pixels(self, shape: tuple[int, int]) -> tuple[LabelBox, ...]:
        """Return its boxes in pixels.

        Args:
            shape: Height and width of the image that was looked at.

        Raises:
            SettingsError: The labels are of an image of another size.
        """
        height, width = shape
        if self.size is not None:
            if self.size != shape:
                raise SettingsError(
                    f"{self.where} says that {self.name} is {self.size[1]}x{self.size[0]}, and "
                    f"its pair is {width}x{height}; expected the same. Take labels of images that "
                    "were neither cropped nor scaled"
                )
            return self.boxes
        return tuple(replace(box, corners=box.times(width, height)) for box in self.boxes)


def check_box(corners: Sequence[float], size: tuple[float, float], where: str) -> Corners:
    """Return a box, unless it can't be one of its image.

    Args:
        corners: Left, top, width and height.
        size: Height and width of the image; 1 and 1 where the box is in fractions.
        where: The box in words, for the message: file, and line or number.

    Raises:
        SettingsError: It isn't finite, has no area, or lies outside of the image.
    """
    left, top, width, height = map(float, corners)
    tall, wide = size
    found = f"{where} is the box {[round(one, 4) for one in (left, top, width, height)]}"
    if not all(map(math.isfinite, (left, top, width, height))):
        raise SettingsError(f"{found}; expected finite numbers. Correct or remove it")
    if width <= 0 or height <= 0:
        raise SettingsError(
            f"{found} (left, top, width, height); expected a width and a height above 0. Correct "
            "or remove it"
        )
    if left >= wide or top >= tall or left + width <= 0 or top + height <= 0:
        raise SettingsError(
            f"{found} (left, top, width, height), outside of its image, which is {wide:g} wide "
            f"and {tall:g} high; expected one inside. Check the unit: COCO has pixels, YOLO files "
            "have fractions of width and height"
        )
    return left, top, width, height


def with_classes(
    images: Sequence[LabelledImage],
    known: Sequence[str],
    renamed: Mapping[str, str],
    only: Sequence[str] = (),
) -> tuple[LabelledImage, ...]:
    """Return labelled images with their classes called as the detector calls them.

    Args:
        images: The images.
        known: The detector's classes.
        renamed: What the detector calls classes that the labels call otherwise.
        only: Boxes of other classes, by the detector's names, are left out. Default: none is.

    Raises:
        SettingsError: A class is none of the detector's, or a name that is given is nobody's.
    """
    found = dict.fromkeys(box.class_name for image in images for box in image.boxes)
    told = f"the detector's {len(known)} classes, {_listed(known)}"
    for name in (*only, *renamed.values()):
        if name not in known:
            raise SettingsError(f"the class {name!r} is none of {told}; expected one of these")
    if unused := [name for name in renamed if name not in found]:
        raise SettingsError(
            f"class_names has {unused}, and the labels have boxes of {_listed([*found])}; expected "
            "names of theirs, such as bike=bicycle"
        )
    called = {name: renamed.get(name, name) for name in found}
    wanted = set(only) or set(called.values())
    if unknown := [a for a, b in called.items() if b in wanted and b not in known]:
        name, some = unknown[0], " ".join(b for b in called.values() if b in known)
        raise SettingsError(
            f"the labels have boxes of {unknown}, which are none of {told}. Say what the detector "
            f"calls them (class_names {name}=NAME), or name the classes that count "
            f"(classes {some or 'NAME'})"
        )
    return tuple(
        replace(
            image,
            boxes=tuple(
                replace(box, class_name=called[box.class_name])
                for box in image.boxes
                if called[box.class_name] in wanted
            ),
        )
        for image in images
    )


def _listed(names: Sequence[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "no class"
