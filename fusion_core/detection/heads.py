"""Turns what detectors of the common families give into boxes with a class and a score each.

A candidate has one class, the one that it scores highest by. Boxes are in pixels of the detector's
input, (N, 4) as left, top, right, bottom.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.description import Description
from fusion_core.errors import WeightsError

Array = NDArray[np.float64]
Candidates = tuple[Array, Array, NDArray[np.intp]]
"""Boxes (N, 4), scores (N,), and numbers of classes (N,)."""


def decode(output: NDArray[Any], description: Description) -> Candidates:
    """Turn a detector's output into candidates.

    - ``yolox``, (1, N, 5 + C): centre x and y in cells, relative to the own one, logarithms of
      width and height in cells, objectness, and a probability for each class. Grids follow each
      other by stride, their cells row by row (Ge et al., YOLOX, 2021).
    - ``yolov5``, (1, N, 5 + C): centre, width and height in pixels, objectness, probabilities.
    - ``yolov8``, (1, 4 + C, N): centre, width and height in pixels, and a score for each class.

    The score is the class's, times the objectness where there is one.

    Args:
        output: What the file gave.
        description: Of the detector.

    Raises:
        WeightsError: The output has another shape, or isn't finite.
    """
    rows = _rows(output, description)
    if not np.isfinite(rows).all():
        raise WeightsError(
            "the detector gave infinities or NaN; expected finite numbers. Check what was "
            "exported, and the description's white, mean and std"
        )
    middle, size = rows[:, :2], rows[:, 2:4]
    if description.head == "yolox":
        cells, strides = _cells(description)
        middle, size = (middle + cells) * strides, np.exp(np.minimum(size, 50)) * strides
    first = 4 if description.head == "yolov8" else 5
    of_classes = rows[:, first:]
    classes = of_classes.argmax(1)
    scores = of_classes[np.arange(len(rows)), classes]
    scores = scores if first == 4 else scores * rows[:, 4]
    return np.concatenate((middle - size / 2, middle + size / 2), 1), scores, classes


def _rows(output: NDArray[Any], description: Description) -> Array:
    """Return the output as (N, 4 or 5 + C)."""
    width = len(description.classes) + (4 if description.head == "yolov8" else 5)
    across = 1 if description.head == "yolov8" else 2
    count = len(_cells(description)[0]) if description.head == "yolox" else None
    fits = output.ndim == 3 and output.shape[0] == 1 and output.shape[across] == width
    if not fits or count not in (None, output.shape[1]):
        shape = [1, count or "N", width]
        wanted = shape if across == 2 else [1, width, "N"]
        raise WeightsError(
            f"the detector gave an output of shape {list(output.shape)}; expected {wanted}, for "
            f"the head {description.head} with {len(description.classes)} classes. Correct head, "
            "size, strides and classes in its description, or export it without post-processing"
        )
    found: Array = output[0].astype(np.float64)
    return found if across == 2 else found.T


def _cells(description: Description) -> tuple[Array, Array]:
    """Return the place of each cell in its grid, (N, 2) as x and y, and its stride, (N, 1)."""
    places, strides = [], []
    height, width = description.size
    for stride in description.strides:
        y, x = np.mgrid[: height // stride, : width // stride]
        places.append(np.stack((x.ravel(), y.ravel()), 1).astype(np.float64))
        strides.append(np.full((x.size, 1), float(stride)))
    return np.concatenate(places), np.concatenate(strides)
