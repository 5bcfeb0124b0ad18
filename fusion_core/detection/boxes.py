"""Boxes that were found in an image, each with its class and score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fusion_core.errors import ManifestError

BOX_COLUMNS = ("x", "y", "box_width", "box_height", "score", "class_name")
"""Columns of a row that hold the boxes of an image, each a list with one value for each box."""


@dataclass(frozen=True)
class Boxes:
    """The boxes of one image, the highest score first.

    Attributes:
        corners: Left, top, width and height of each in pixels of the image, (N, 4) float32.
        scores: Their scores in [0, 1], (N,) float32.
        classes: Names of their classes.
    """

    corners: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.classes)

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> Self:
        """Return the boxes of an ok row of the detections.

        Raises:
            ManifestError: Its lists aren't those of boxes.
        """
        values = [row[name] for name in BOX_COLUMNS]
        if None in values or len({len(one) for one in values}) > 1:
            raise ManifestError(
                f"the detections have an ok row of {row.get('pair_id')!r} whose lists of boxes are "
                "missing or differ in length; expected one value of each for every box. See who "
                "can write to the output, and remove the file"
            )
        corners = np.array(values[:4], np.float32).reshape(4, -1).T
        return cls(corners, np.array(values[4], np.float32), tuple(values[5]))

    def columns(self) -> dict[str, list[Any]]:
        """Return them as the columns of a row."""
        numbers = [*self.corners.T.tolist(), self.scores.tolist(), list(self.classes)]
        return dict(zip(BOX_COLUMNS, numbers, strict=True))

    def chosen(self, score: float, classes: Sequence[str] = ()) -> Boxes:
        """Return those that score so much and are of one of some classes, or of any."""
        wanted = [not classes or name in classes for name in self.classes]
        return self.where((self.scores >= score) & np.array(wanted, bool))

    def where(self, places: Any) -> Boxes:
        """Return some of them.

        Args:
            places: Their places, or a mask; as NumPy takes them.
        """
        kept = np.arange(len(self))[places]
        return Boxes(self.corners[kept], self.scores[kept], tuple(self.classes[k] for k in kept))


def overlaps(
    boxes: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]]
) -> NDArray[np.float64]:
    """Return the intersection over union of boxes with others.

    Args:
        boxes: (N, 4): left, top, width, height.
        others: (M, 4), likewise.

    Returns:
        (N, M) in [0, 1].
    """
    first = np.asarray(boxes, np.float64)[:, None]
    second = np.asarray(others, np.float64)[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., :2] + first[..., 2:], second[..., :2] + second[..., 2:])
    common = np.clip(high - low, 0, None).prod(-1)
    union = first[..., 2:].prod(-1) + second[..., 2:].prod(-1) - common
    found: NDArray[np.float64] = common / np.maximum(union, np.finfo(np.float64).tiny)
    return found


def matched(boxes: Boxes, others: Any, classes: Sequence[str], overlap: float) -> int:
    """Return how many boxes meet another one of their class, each of those once.

    Args:
        boxes: The boxes, of which the first ones choose first.
        others: (M, 4): left, top, width, height.
        classes: Their classes.
        overlap: Least intersection over union.
    """
    table = overlaps(boxes.corners, np.reshape(others, (-1, 4)))
    free = np.ones(len(classes), bool)
    same = np.array([[one == other for other in classes] for one in boxes.classes], bool)
    count = 0
    for k in range(len(boxes)):
        wanted = np.where(free & same[k], table[k], 0.0) if len(classes) else np.zeros(0)
        if wanted.size and wanted.max() >= overlap:
            free[wanted.argmax()] = False
            count += 1
    return count
