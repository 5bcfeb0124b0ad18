"""Average precision, as COCO defines it and pycocotools computes it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fusion_core.detection.boxes import Boxes
from fusion_core.detection.description import ALL
from fusion_core.detection.labels import LabelBox
from fusion_core.errors import SettingsError

MOST_BOXES = 100
"""So many boxes of an image and class count, those that score highest, as in COCO's tables."""


@dataclass(frozen=True)
class ClassPrecision:
    """How well a class was found; None where no label says what there is to find.

    Attributes:
        ap50: AP at an intersection over union of 0.5.
        ap: Mean of the AP at 0.5, 0.55 … 0.95.
    """

    ap50: float | None
    ap: float | None


@dataclass(frozen=True)
class SeenImage:
    """What labels say of an image, and what was found in it.

    Attributes:
        labels: The labelled boxes, in pixels.
        boxes: The boxes that were found.
    """

    labels: Sequence[LabelBox]
    boxes: Boxes


def average_precision(
    images: Sequence[SeenImage], classes: Sequence[str]
) -> dict[str, ClassPrecision]:
    """Compute AP by class, and their mean as ``all``.

    For each class, boxes of all images are taken from the highest score down. One is right where it
    meets a label of its image that no better one has taken; AP is the mean of the best precision
    that is reached at 101 recalls, 0 to 1 (Lin et al., Microsoft COCO, 2014; pycocotools). What
    meets a crowd counts for nothing.

    Args:
        images: The images.
        classes: Their classes, by the detector's names; all others are left out.

    Raises:
        SettingsError: pycocotools isn't installed.
    """
    numbers = {name: k for k, name in enumerate(classes, 1)}
    precision = _precision(images, numbers)
    found = {
        name: ClassPrecision(_mean(precision[0, :, k]), _mean(precision[:, :, k]))
        for k, name in enumerate(classes)
    }
    return found | {ALL: ClassPrecision(_mean(precision[0]), _mean(precision))}


def require_pycocotools() -> None:
    """Raise SettingsError where pycocotools isn't installed."""
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"labels are given, and pycocotools, which compares them with boxes, can't be loaded: "
            f"{error}. Install it by pip install 'fuse-archive[detect]'"
        ) from error


def _precision(images: Sequence[SeenImage], numbers: dict[str, int]) -> Any:
    """Return precision by overlap, recall and class, (10, 101, C); -1 where nothing is labelled."""
    require_pycocotools()
    from pycocotools.cocoeval import COCOeval

    labelled, seen = [], []
    for number, image in enumerate(images):
        for label in image.labels:
            if label.class_name in numbers:
                shown = _annotation(number, numbers[label.class_name], label.corners)
                labelled.append({**shown, "iscrowd": int(label.crowd)})
        corners, scores = image.boxes.corners.tolist(), image.boxes.scores.tolist()
        for box, score, name in zip(corners, scores, image.boxes.classes, strict=True):
            if name in numbers:
                seen.append({**_annotation(number, numbers[name], box), "score": score})
    with contextlib.redirect_stdout(io.StringIO()):  # it tells how far it is
        sides = [_table(side, len(images), numbers) for side in (labelled, seen)]
        evaluation = COCOeval(*sides, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [MOST_BOXES]
        evaluation.evaluate()
        evaluation.accumulate()
    return evaluation.eval["precision"][:, :, :, 0, 0]


def _annotation(image: int, category: int, corners: Sequence[float]) -> dict[str, Any]:
    area = corners[2] * corners[3]
    return {"image_id": image, "category_id": category, "bbox": [*corners], "area": area}


def _table(annotations: list[dict[str, Any]], images: int, numbers: dict[str, int]) -> Any:
    from pycocotools.coco import COCO

    table = COCO()
    table.dataset = {
        "images": [{"id": number} for number in range(images)],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        # An id of 0 would count as no match.
        "annotations": [{"id": k, "iscrowd": 0, **one} for k, one in enumerate(annotations, 1)],
    }
    table.createIndex()
    return table


def _mean(precision: Any) -> float | None:
    """Return the mean of what is defined; a class without labels is -1 throughout."""
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else None
