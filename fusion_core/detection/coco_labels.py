"""Reads labels in COCO's JSON: images, annotations and categories of one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fusion_core.detection.labels import LabelBox, LabelledImage, check_box
from fusion_core.errors import SettingsError


def parse_coco(body: bytes, url: str) -> list[LabelledImage]:
    """Read the labels of a COCO file.

    An image without annotations is one on which nothing is. A file name may have folders, and any
    suffix.

    Args:
        body: The file's bytes.
        url: Where it was read from, for messages.

    Raises:
        SettingsError: It is no COCO JSON, names an image twice or one that it doesn't have, has a
            category that it doesn't name, or a box that can't be one.
    """
    try:
        content = json.loads(body)
        images, annotations, categories = (
            [dict(one) for one in content[key]] for key in ("images", "annotations", "categories")
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SettingsError(
            f"the labels {url} can't be read as COCO JSON: {type(error).__name__}: {error}. "
            "Expected an object with the lists images, annotations and categories"
        ) from error
    names = {_field(one, "id", f"category {k} of {url}"): one for k, one in enumerate(categories)}
    boxes: dict[Any, list[LabelBox]] = {}
    by_id: dict[Any, dict[str, Any]] = {}
    for number, image in enumerate(images):
        where = f"image {number} of {url}"
        key = _field(image, "id", where)
        if key in by_id:
            raise SettingsError(f"{where} has the id {key!r} of another; expected each id once")
        by_id[key], boxes[key] = image, []
    for number, one in enumerate(annotations):
        where = f"annotation {one.get('id', number)} of {url}"
        image_id = _field(one, "image_id", where)
        if image_id not in by_id:
            raise SettingsError(
                f"{where} is of the image {image_id!r}, which the file doesn't have; expected the "
                "id of one of its images. Add the image, or remove the annotation"
            )
        boxes[image_id].append(_box(one, names, _size(by_id[image_id], where), where))
    found = [
        LabelledImage(
            str(_field(image, "file_name", f"image {key!r} of {url}")),
            url,
            tuple(boxes[key]),
            _size(image, f"image {key!r} of {url}"),
        )
        for key, image in by_id.items()
    ]
    _check_names(found, url)
    return found


def _box(
    one: Mapping[str, Any],
    names: Mapping[Any, Mapping[str, Any]],
    size: tuple[int, int],
    where: str,
) -> LabelBox:
    category = _field(one, "category_id", where)
    if category not in names:
        raise SettingsError(
            f"{where} is of the category {category!r}, which the file doesn't have; expected the "
            f"id of one of its categories, {[*names]}"
        )
    corners = _field(one, "bbox", where)
    numbers = isinstance(corners, list) and len(corners) == 4
    if not numbers or not all(isinstance(value, int | float) for value in corners):
        raise SettingsError(
            f"{where} has the bbox {corners!r}; expected four numbers: left, top, width, height"
        )
    name = str(_field(names[category], "name", f"category {category!r}, used by {where},"))
    return LabelBox(check_box(corners, size, where), name, bool(one.get("iscrowd", 0)))


def _size(image: Mapping[str, Any], where: str) -> tuple[int, int]:
    height, width = (_field(image, name, f"the image of {where}") for name in ("height", "width"))
    if not all(isinstance(side, int) and side > 0 for side in (height, width)):
        raise SettingsError(
            f"the image of {where} has width {width!r} and height {height!r}; expected whole "
            "numbers of pixels above 0"
        )
    return height, width


def _field(one: Mapping[str, Any], name: str, where: str) -> Any:
    if name not in one or isinstance(one[name], dict) or (name == "id" and one[name] is None):
        raise SettingsError(f"{where} has no {name}; expected one, as COCO JSON has it")
    return one[name]


def _check_names(images: list[LabelledImage], url: str) -> None:
    seen: set[str] = set()
    for image in images:
        if image.name in seen:
            raise SettingsError(
                f"{url} names the image {image.name} twice; expected each image once. Join the "
                "annotations of both under one id"
            )
        seen.add(image.name)
