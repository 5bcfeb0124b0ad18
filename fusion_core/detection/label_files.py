"""Reads labels from wherever they lie: a COCO file, or YOLO files by a template or in a folder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from fusion_core.archive.path_template import PathTemplate
from fusion_core.detection.coco_labels import parse_coco
from fusion_core.detection.labels import LabelledImage
from fusion_core.detection.yolo_labels import parse_names, parse_yolo
from fusion_core.errors import SettingsError
from fusion_core.storage.file_system import StorageOptions
from fusion_core.storage.store import Storage

_READERS = 16
_NO_LABELS = ("classes.txt", "obj.names.txt", "train.txt", "val.txt", "test.txt")
"""Text files that programs for labelling leave in the folder."""


def read_labels(
    url: str,
    names: Sequence[str],
    fields: tuple[str, ...],
    *,
    options: StorageOptions = None,
    label_classes: str | None = None,
) -> list[LabelledImage]:
    """Read all labels.

    Args:
        url: A COCO file (``.json``), a template of the paths of YOLO files, or their folder.
        names: The detector's classes, which number those of YOLO files unless others are named.
        fields: The template's fields that make up the pair id, in order.
        options: Options of the store, as ``Storage`` takes them.
        label_classes: File that names the classes of YOLO files instead.

    Raises:
        SettingsError: There are none, or something in them is wrong.
        StorageError: The store failed.
    """
    if url.endswith(".json"):
        return parse_coco(read_named(url, "labels", options), url)
    if label_classes is not None:
        names = parse_names(read_named(label_classes, "label_classes", options), label_classes)
    root, template = _split(url)
    storage = Storage(root, options)
    listing = storage.list()
    if template:
        mask, ids = PathTemplate.parse(template).match(listing["path"], fields)
        claims = listing.append_column("pair_id", ids).filter(mask)
        found = dict(zip(claims["path"].to_pylist(), claims["pair_id"].to_pylist(), strict=True))
    else:
        paths = listing["path"].to_pylist()
        found = {path: None for path in paths if _holds_labels(path)}
    if not found:
        raise SettingsError(
            f"there are no labels at {url}; expected a COCO file (.json), or text files in YOLO's "
            "format by a template such as labels/{pair}.txt, or in a folder. Check the URL"
        )

    def one(path: str) -> LabelledImage:
        where = storage.url(path)
        boxes = parse_yolo(storage.read(path), where, names)
        return LabelledImage(path, where, boxes, pair_id=found[path])

    with ThreadPoolExecutor(_READERS, "labels") as readers:
        return list(readers.map(one, sorted(found)))


def _split(url: str) -> tuple[str, str]:
    """Return the folder that YOLO files lie below, and the template of their paths there."""
    fixed = re.split(r"[{*]", url, maxsplit=1)[0]
    if fixed == url:
        return url, ""
    root = fixed[: fixed.rfind("/") + 1]
    return root or ".", url.removeprefix(root)


def _holds_labels(path: str) -> bool:
    return path.endswith(".txt") and path.rpartition("/")[2] not in _NO_LABELS


def read_named(url: str, setting: str, options: StorageOptions) -> bytes:
    """Read a file that a setting names.

    Raises:
        SettingsError: It isn't there.
        StorageError: The store failed.
    """
    try:
        return Storage(url, options).read("")
    except FileNotFoundError as error:
        raise SettingsError(
            f"{setting} is {url}, and there is nothing; expected a file. Check the URL"
        ) from error
