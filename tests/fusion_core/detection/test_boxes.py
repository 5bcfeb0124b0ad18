from typing import Any

import numpy as np
import pytest

from fusion_core.detection.boxes import BOX_COLUMNS, Boxes, matched, overlaps
from fusion_core.errors import ManifestError


def boxes(*rows: tuple[float, float, float, float], classes: str = "", score: float = 0.5) -> Boxes:
    names = tuple(classes or "a" * len(rows))
    scores = np.full(len(rows), score, np.float32)
    return Boxes(np.array(rows, np.float32).reshape(-1, 4), scores, names)


def test_overlaps_by_hand() -> None:
    found = overlaps(np.array([[0, 0, 4, 4]]), np.array([[0, 0, 4, 4], [2, 0, 4, 4], [4, 4, 1, 1]]))
    assert found.tolist() == [[1, pytest.approx(8 / 24), 0]]


def test_a_row_holds_them_as_lists_and_gives_them_back() -> None:
    some = boxes((1, 2, 3, 4), (5, 6, 7, 8), classes="ab", score=0.25)
    columns = some.columns()
    assert [*columns] == [*BOX_COLUMNS]
    assert columns["x"] == [1, 5]
    assert columns["class_name"] == ["a", "b"]
    again = Boxes.of_row(columns)
    assert again.corners.tolist() == some.corners.tolist()
    assert again.classes == ("a", "b")
    none = Boxes.of_row(boxes().columns())
    assert (len(none), none.corners.shape) == (0, (0, 4))


@pytest.mark.parametrize("change", [{"x": None}, {"score": [0.5]}, {"class_name": ["a", "b", "c"]}])
def test_a_row_whose_lists_do_not_fit_is_refused(change: dict[str, Any]) -> None:
    columns = boxes((1, 2, 3, 4), (5, 6, 7, 8)).columns()
    with pytest.raises(ManifestError, match="'p' whose lists of boxes are missing or differ"):
        Boxes.of_row({"pair_id": "p", **columns, **change})


def test_some_are_chosen_by_score_and_class() -> None:
    some = boxes((1, 2, 3, 4), (5, 6, 7, 8), classes="ab")
    assert some.chosen(0.5).classes == ("a", "b")
    assert some.chosen(0.5, ["b"]).corners.tolist() == [[5, 6, 7, 8]]
    assert len(some.chosen(0.6)) == 0
    assert len(boxes().chosen(0.1, ["a"])) == 0


def test_each_meets_one_of_its_class_that_is_free() -> None:
    two = boxes((0, 0, 4, 4), (0, 0, 4, 4))
    assert matched(two, [(0, 0, 4, 4)], "a", 0.5) == 1
    assert matched(two, [(0, 0, 4, 4), (0, 1, 4, 4)], "aa", 0.5) == 2
    assert matched(two, [(0, 0, 4, 4)], "b", 0.5) == 0
    assert matched(two, [(3, 0, 4, 4)], "a", 0.5) == 0
    assert matched(two, [], "", 0.5) == 0
    assert matched(boxes(), [(0, 0, 4, 4)], "a", 0.5) == 0
