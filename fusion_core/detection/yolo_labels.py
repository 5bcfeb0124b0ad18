"""Reads labels in YOLO's files: one for each image, a line ``class cx cy w h`` for each box."""

from __future__ import annotations

from collections.abc import Sequence

from fusion_core.detection.labels import LabelBox, check_box
from fusion_core.errors import SettingsError

_LINE = "'class cx cy w h': a number of a class, and centre, width and height as fractions"


def parse_yolo(body: bytes, url: str, names: Sequence[str]) -> tuple[LabelBox, ...]:
    """Read the labels of one image; an empty file says that nothing is there.

    Args:
        body: The file's bytes.
        url: Where it was read from, for messages.
        names: Names of the classes, by their numbers from 0.

    Returns:
        Boxes in fractions of the image's width and height.

    Raises:
        SettingsError: A line is none of a box, is of a class without a name, or its box can't be
            one.
    """
    try:
        lines = body.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise SettingsError(f"the labels {url} are no text: {error}. Expected {_LINE}") from error
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            found.append(_box(line.split(), f"line {number} of {url}", names))
    return tuple(found)


def _box(words: Sequence[str], where: str, names: Sequence[str]) -> LabelBox:
    if len(words) != 5:
        raise SettingsError(f"{where} has {len(words)} values; expected {_LINE}")
    try:
        kind, x, y, width, height = map(float, words)
    except ValueError as error:
        raise SettingsError(f"{where} is {' '.join(words)[:80]!r}; expected {_LINE}") from error
    if kind not in range(len(names)):
        raise SettingsError(
            f"{where} is of the class {words[0]}; expected 0 to {len(names) - 1}. Give the names "
            "of the labels' classes by label_classes, a file with one on each line"
        )
    corners = (x - width / 2, y - height / 2, width, height)
    return LabelBox(check_box(corners, (1, 1), where), names[int(kind)])


def parse_names(body: bytes, url: str) -> tuple[str, ...]:
    """Read a file with the name of a class on each line.

    Raises:
        SettingsError: It is no text, or a name is there twice.
    """
    try:
        names = tuple(line.strip() for line in body.decode("utf-8-sig").splitlines())
    except UnicodeDecodeError as error:
        raise SettingsError(
            f"{url} is no text: {error}. Expected the name of a class on each line"
        ) from error
    while names and not names[-1]:
        names = names[:-1]
    if not names or not all(names) or len(set(names)) < len(names):
        raise SettingsError(
            f"{url} has the lines {list(names)[:12]}; expected the name of a class on each, all of "
            "them different"
        )
    return names
