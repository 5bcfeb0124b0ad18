import numpy as np
import pytest

from fusion_core.detection.boxes import Boxes
from fusion_core.detection.comparison import (
    DetectedPair,
    compare_detections,
    detected_pairs,
    most_different,
)
from fusion_core.detection.label_matching import MatchedLabels
from fusion_core.detection.labels import LabelBox, LabelledImage

HERE, THERE = (0.0, 0.0, 4.0, 4.0), (10.0, 0.0, 4.0, 4.0)


def boxes(*corners: tuple[float, ...], score: float = 0.9, name: str = "a") -> Boxes:
    scores = np.full(len(corners), score, np.float32)
    return Boxes(np.array(corners, np.float32).reshape(-1, 4), scores, (name,) * len(corners))


def labelled(*corners: tuple[float, float, float, float]) -> LabelledImage:
    return LabelledImage("x", "x.json", tuple(LabelBox(one, "a") for one in corners), (8, 16))


def pair(labels: tuple[LabelBox, ...] | None = None, **of_methods: Boxes) -> DetectedPair:
    return DetectedPair("p", (8, 16), of_methods, labels)


def test_the_table_is_over_the_labelled_pairs_that_all_methods_have() -> None:
    found = {
        "m": {"p": boxes(HERE), "q": boxes(), "r": boxes(HERE), "s": boxes(HERE)},
        "n": {"p": boxes(THERE), "q": boxes(), "r": boxes(HERE)},
        "none": {},
    }
    shapes = dict.fromkeys("pqrs", (8, 16))
    # r is unlabelled, and q is labelled with nothing on it.
    labels = MatchedLabels({"p": labelled(HERE), "q": labelled(), "s": labelled(HERE)})
    pairs = detected_pairs(found, shapes, labels)
    assert [one.pair_id for one in pairs] == ["p", "q", "r"]
    assert [one.labels is None for one in pairs] == [False, False, True]
    counts = {"m": 4, "n": 3, "none": 0}
    comparison = compare_detections(pairs, counts)
    assert (comparison.labelled, comparison.labels) == (2, {"a": 1})
    assert comparison.columns == ("a", "all")
    found_by = {name: of["a"].ap50 for name, of in comparison.precisions.items()}
    assert found_by == {"m": pytest.approx(1), "n": 0}
    asked = compare_detections(pairs, counts, ["b", "a"])
    assert asked.columns == ("b", "a", "all")
    assert asked.precisions["m"]["b"].ap50 is None
    assert asked.precisions["m"]["all"].ap50 == pytest.approx(1)
    none = compare_detections(detected_pairs(found, shapes), counts)
    assert (none.labelled, none.precisions) == (0, {})


def test_an_image_labelled_with_nothing_counts_what_is_found_in_it_as_wrong() -> None:
    found = {"m": {"p": boxes(HERE, score=0.5), "q": boxes(HERE)}}
    shapes = dict.fromkeys("pq", (8, 16))
    for own, ap50 in (({}, 1.0), ({"q": labelled()}, 0.5)):
        pairs = detected_pairs(found, shapes, MatchedLabels({"p": labelled(HERE), **own}))
        comparison = compare_detections(pairs, {"m": 2})
        assert comparison.precisions["m"]["a"].ap50 == pytest.approx(ap50)


def test_methods_differ_by_what_they_meet_and_miss() -> None:
    labels = labelled(HERE).boxes
    assert pair(labels, m=boxes(HERE), n=boxes()).difference(0.3) == 1
    assert pair(labels, m=boxes(HERE), n=boxes(THERE)).difference(0.3) == 2
    assert pair(labels, m=boxes(HERE), n=boxes(HERE, HERE)).difference(0.3) == 1
    assert pair(labels, m=boxes(HERE), n=boxes(HERE, score=0.2)).difference(0.3) == 1
    assert pair(labels, m=boxes(HERE), n=boxes(HERE, score=0.2)).difference(0.1) == 0
    assert pair(labels, m=boxes(), n=boxes(HERE, name="b")).difference(0.3, ["a"]) == 0
    crowd = (LabelBox(HERE, "a", crowd=True),)
    assert pair(crowd, m=boxes(HERE), n=boxes()).difference(0.3) == 0


def test_without_labels_methods_differ_by_boxes_that_another_lacks() -> None:
    assert pair(m=boxes(HERE), n=boxes(HERE)).difference(0.3) == 0
    assert pair(m=boxes(HERE), n=boxes(THERE)).difference(0.3) == 2
    assert pair(m=boxes(HERE, THERE), n=boxes(HERE), o=boxes()).difference(0.3) == 2
    assert pair(m=boxes(HERE), n=boxes(HERE, name="b")).difference(0.3) == 2


def test_the_most_different_come_first_and_equal_ones_not_at_all() -> None:
    def named(pair_id: str, other: Boxes) -> DetectedPair:
        return DetectedPair(pair_id, (8, 16), {"m": boxes(HERE), "n": other})

    pairs = [named("a", boxes(HERE)), named("b", boxes()), named("c", boxes(THERE))]
    found = most_different([*pairs, named("d", boxes(THERE))], 3, 0.3)
    assert [(one.pair_id, difference) for one, difference in found] == [
        *(("c", 2), ("d", 2), ("b", 1)),
    ]
    one = DetectedPair("e", (8, 16), {"m": boxes(HERE), "n": boxes()}, ())
    assert [of[0].pair_id for of in most_different([*pairs, one], 3, 0.3)] == ["e"]
