"""Leaves one box of those that a detector finds for the same thing."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.heads import Candidates


class SuppressionRule(Protocol):
    """Which boxes are left; the settings of ``detect`` are one."""

    @property
    def score_threshold(self) -> float: ...  # noqa: D102

    @property
    def nms_overlap(self) -> float: ...  # noqa: D102

    @property
    def nms_by_class(self) -> bool: ...  # noqa: D102

    @property
    def max_boxes(self) -> int: ...  # noqa: D102


def suppress(candidates: Candidates, rule: SuppressionRule) -> Candidates:
    """Return the candidates that score enough and overlap no better one, the best first.

    Args:
        candidates: Boxes as left, top, right, bottom; scores; numbers of classes.
        rule: What counts as enough, as overlapping, and how many are left at most.
    """
    from fusion_core.registration.opencv import cv2

    corners, scores, classes = candidates
    enough = np.flatnonzero(scores >= rule.score_threshold)
    corners, scores, classes = corners[enough], scores[enough], classes[enough]
    if not len(scores):
        return corners, scores, classes
    boxes = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), 1)
    numbers = classes if rule.nms_by_class else np.zeros_like(classes)
    # float32 is what OpenCV compares, whose threshold for scores is passed above.
    kept: NDArray[Any] = np.asarray(
        cv2.dnn.NMSBoxesBatched(
            boxes.tolist(), scores.tolist(), numbers.tolist(), 0.0, rule.nms_overlap
        ),
        np.intp,
    ).ravel()
    order = kept[np.argsort(-scores[kept], kind="stable")][: rule.max_boxes]
    return corners[order], scores[order], classes[order]
