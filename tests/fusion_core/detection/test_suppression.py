from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion_core.detection.boxes import overlaps
from fusion_core.detection.suppression import suppress


@dataclass
class Rule:
    score_threshold: float = 0.1
    nms_overlap: float = 0.5
    nms_by_class: bool = True
    max_boxes: int = 100


def greedy(
    corners: NDArray[np.float64], scores: NDArray[np.float64], classes: NDArray[np.intp], rule: Rule
) -> list[int]:
    """Take the best box, drop what overlaps it, and go on with the rest."""
    sizes = np.concatenate((corners[:, :2], corners[:, 2:] - corners[:, :2]), 1)
    table = overlaps(sizes, sizes)
    left = [k for k in np.argsort(-scores) if scores[k] >= rule.score_threshold]
    kept: list[int] = []
    while left:
        best = left.pop(0)
        kept.append(int(best))
        left = [
            k
            for k in left
            if table[best, k] <= rule.nms_overlap
            or (rule.nms_by_class and classes[k] != classes[best])
        ]
    return kept[: rule.max_boxes]


@pytest.mark.parametrize("by_class", [True, False])
@pytest.mark.parametrize("overlap", [0.3, 0.65])
def test_the_best_of_those_that_overlap_is_left(by_class: bool, overlap: float) -> None:
    rng = np.random.default_rng(8)
    low = rng.uniform(0, 60, (300, 2))
    corners = np.concatenate((low, low + rng.uniform(5, 40, (300, 2))), 1)
    scores, classes = rng.uniform(0, 1, 300), rng.integers(0, 3, 300)
    rule = Rule(nms_overlap=overlap, nms_by_class=by_class, max_boxes=20)
    found = suppress((corners, scores, classes), rule)
    expected = greedy(corners, scores, classes, rule)
    assert 5 < len(expected) <= 20
    assert found[1].tolist() == scores[expected].tolist()
    assert found[0].tolist() == corners[expected].tolist()
    assert found[2].tolist() == classes[expected].tolist()


def test_a_score_at_the_threshold_is_enough_and_nothing_may_be_left() -> None:
    box, number = np.array([[0.0, 0, 4, 4]]), np.zeros(1, np.intp)
    assert len(suppress((box, np.array([0.1]), number), Rule())[1]) == 1
    none = suppress((box, np.array([0.09]), number), Rule())
    assert [len(one) for one in none] == [0, 0, 0]
    assert none[0].shape == (0, 4)
