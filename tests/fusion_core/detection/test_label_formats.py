"""COCO's JSON and YOLO's files: read, refused by place, and the same boxes from both."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.detection.coco_labels import parse_coco
from fusion_core.detection.yolo_labels import parse_names, parse_yolo
from fusion_core.errors import SettingsError

NAMES = ("person", "car")
SHARES = st.floats(0.01, 0.99)
BOXES = st.lists(st.tuples(st.integers(0, 1), SHARES, SHARES, SHARES, SHARES), max_size=4)


def coco() -> dict[str, Any]:
    box = {"image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4], "area": 12}
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 20, "height": 10},
            {"id": 8, "file_name": "sub/b.jpg", "width": 20, "height": 10},
        ],
        "annotations": [{"id": 1, **box}, {"id": 2, **box, "iscrowd": 1}],
        "categories": [{"id": 2, "name": "car"}],
    }


def parsed(content: Any) -> Any:
    return parse_coco(json.dumps(content).encode(), "labels.json")


def test_coco_by_hand() -> None:
    first, second = parsed(coco())
    assert (first.name, first.size, first.pair_id) == ("a.jpg", (10, 20), None)
    assert [(box.corners, box.class_name, box.crowd) for box in first.boxes] == [
        ((1, 2, 3, 4), "car", False),
        ((1, 2, 3, 4), "car", True),
    ]
    assert (second.name, second.boxes) == ("sub/b.jpg", ())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.pop("categories"), "can't be read as COCO JSON: KeyError"),
        (
            lambda c: c["annotations"][0].update(image_id=9),
            "annotation 1 of labels.json is of the ",
        ),
        (lambda c: c["annotations"][0].update(category_id=3), "is of the category 3, which"),
        (
            lambda c: c["annotations"][1].update(bbox=[1, 2, 3]),
            "annotation 2 of labels.json has th",
        ),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, "3", 4]), "expected four numbers"),
        (lambda c: c["annotations"][0].update(bbox=[1, 2, 0, 4]), "a height above 0"),
        (lambda c: c["annotations"][0].update(bbox=[20, 2, 3, 4]), "outside of its image"),
        (lambda c: c["annotations"][0].update(bbox=[float("nan"), 2, 3, 4]), "finite numbers"),
        (lambda c: c["annotations"][0].pop("bbox"), "annotation 1 of labels.json has no bbox"),
        (lambda c: c["images"][1].update(id=7), "image 1 of labels.json has the id 7 of another"),
        (lambda c: c["images"][1].update(file_name="a.jpg"), "names the image a.jpg twice"),
        (lambda c: c["images"][0].update(width=0), "has width 0 and height 10"),
        (lambda c: c["images"][0].pop("height"), "has no height"),
        (lambda c: c["categories"][0].pop("name"), "has no name"),
    ],
)
def test_what_is_wrong_in_coco_is_named_by_its_place(
    change: Callable[[dict[str, Any]], Any], told: str
) -> None:
    content = coco()
    change(content)
    with pytest.raises(SettingsError) as refused:
        parsed(content)
    assert told in str(refused.value)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"images": 1}', b"\xff", b"[" * 100_000])
def test_what_is_no_coco_is_refused(body: bytes) -> None:
    with pytest.raises(SettingsError, match="can't be read as COCO JSON"):
        parse_coco(body, "labels.json")


def test_yolo_by_hand() -> None:
    (box,) = parse_yolo(b"\xef\xbb\xbf1 0.5 0.5 0.25 0.5\r\n\n", "a.txt", NAMES)
    assert (box.corners, box.class_name, box.crowd) == ((0.375, 0.25, 0.25, 0.5), "car", False)
    assert parse_yolo(b"", "a.txt", NAMES) == ()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b"0 0.5 0.5 0.1", "line 2 of a.txt has 4 values"),
        (b"0 0.5 0.5 0.1 0.1 0.9", "line 2 of a.txt has 6 values"),
        (b"person 0.5 0.5 0.1 0.1", "line 2 of a.txt is 'person 0.5"),
        (b"2 0.5 0.5 0.1 0.1", "is of the class 2; expected 0 to 1"),
        (b"0.5 0.5 0.5 0.1 0.1", "is of the class 0.5"),
        (b"0 320 240 50 50", "outside of its image"),
        (b"0 0.5 0.5 0 0.1", "a height above 0"),
        (b"0 nan 0.5 0.1 0.1", "finite numbers"),
        (b"\xff", "are no text"),
    ],
)
def test_what_is_wrong_in_yolo_is_named_by_its_line(line: bytes, told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        parse_yolo(b"0 0.5 0.5 0.1 0.1\n" + line, "a.txt", NAMES)
    assert told in str(refused.value)


def test_names_are_read_line_by_line() -> None:
    assert parse_names(b"person\n traffic light \n\n", "c.txt") == (*("person", "traffic light"),)
    for body in (b"", b"a\n\nb", b"a\na", b"\xff"):
        with pytest.raises(SettingsError, match="name of a class on each"):
            parse_names(body, "c.txt")


@given(boxes=BOXES, width=st.integers(8, 4000), height=st.integers(8, 4000))
def test_both_formats_say_the_same_boxes(
    boxes: list[tuple[int, float, float, float, float]], width: int, height: int
) -> None:
    lines = "\n".join(" ".join(map(repr, box)) for box in boxes)
    content = {
        "images": [{"id": 0, "file_name": "a", "width": width, "height": height}],
        "annotations": [
            {
                "image_id": 0,
                "category_id": kind,
                "bbox": [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height],
            }
            for kind, x, y, w, h in boxes
        ],
        "categories": [{"id": k, "name": name} for k, name in enumerate(NAMES)],
    }
    (image,) = parsed(content)
    found = parse_yolo(lines.encode(), "a.txt", NAMES)
    assert len(found) == len(boxes)
    for one, other in zip(found, image.in_pixels((height, width)), strict=True):
        assert one.class_name == other.class_name
        assert one.times(width, height) == pytest.approx(other.corners)
