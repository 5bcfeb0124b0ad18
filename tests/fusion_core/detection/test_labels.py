from typing import Any

import pytest

from fusion_core.detection.labels import LabelBox, LabelledImage, check_box, with_classes
from fusion_core.errors import SettingsError

KNOWN = ("person", "bicycle", "car")


def image(*names: str, name: str = "a.jpg") -> LabelledImage:
    boxes = tuple(LabelBox((0, 0, 1, 1), one) for one in names)
    return LabelledImage(name, "labels.json", boxes, (4, 4))


def classes(images: tuple[LabelledImage, ...]) -> list[list[str]]:
    return [[box.class_name for box in one.boxes] for one in images]


def test_a_box_may_reach_over_the_edge_and_not_lie_outside() -> None:
    assert check_box([-1, -1, 2, 2], (4, 6), "x") == (-1, -1, 2, 2)
    assert check_box([5.5, 3.5, 2, 2], (4, 6), "x") == (5.5, 3.5, 2, 2)


@pytest.mark.parametrize(
    ("corners", "told"),
    [
        ([0, 0, float("nan"), 1], "expected finite numbers"),
        ([0, float("inf"), 1, 1], "expected finite numbers"),
        ([0, 0, 0, 1], "expected a width and a height above 0"),
        ([0, 0, 1, -1], "expected a width and a height above 0"),
        ([6, 0, 1, 1], "outside of its image, which is 6 wide and 4 high"),
        ([0, 4, 1, 1], "outside of its image"),
        ([-1, 0, 1, 1], "outside of its image"),
        ([0, -2, 1, 2], "outside of its image"),
    ],
)
def test_a_box_that_can_be_none_is_named(corners: list[float], told: str) -> None:
    with pytest.raises(SettingsError, match="line 3 of a.txt is the box") as refused:  # noqa: RUF043
        check_box(corners, (4, 6), "line 3 of a.txt")
    assert told in str(refused.value)


def test_fractions_become_pixels_of_the_image_that_was_seen() -> None:
    one = LabelledImage("a", "a.txt", (LabelBox((0.25, 0.5, 0.5, 0.25), "car"),))
    assert one.in_pixels((100, 200))[0].corners == (50, 50, 100, 25)
    assert image("car").in_pixels((4, 4))[0].corners == (0, 0, 1, 1)
    with pytest.raises(SettingsError, match=r"says that a\.jpg is 4x4, and its pair is 6x4"):
        image("car").in_pixels((4, 6))


def test_classes_are_called_as_the_detector_calls_them_or_left_out() -> None:
    images = [image("person", "bike"), image()]
    assert classes(with_classes(images, KNOWN, {"bike": "bicycle"})) == [["person", "bicycle"], []]
    assert classes(with_classes(images, KNOWN, {}, ["person"])) == [["person"], []]
    assert classes(with_classes(images, KNOWN, {"bike": "bicycle"}, ["car"])) == [[], []]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, r"boxes of \['bike'\], which are none of the detector's 3 classes, person, bicycle"),
        ({"renamed": {"bike": "bicicle"}}, "the class 'bicicle' is none of the detector's"),
        ({"renamed": {"bikes": "bicycle"}}, r"class_names has \['bikes'\], and the labels have"),
        ({"only": ["cars"]}, "the class 'cars' is none of the detector's"),
    ],
)
def test_a_class_that_nobody_knows_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        with_classes([image("person", "bike")], KNOWN, **{"renamed": {}, **changes})
