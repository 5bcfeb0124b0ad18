import json
from typing import Any

import pytest

from fusion_core.detection.coco_classes import COCO_CLASSES
from fusion_core.detection.description import Description, parse_description
from fusion_core.errors import SettingsError

PLAIN: dict[str, Any] = {"head": "yolov8", "size": [64, 96], "classes": ["person", "car"]}


def parsed(**changes: Any) -> Description:
    return parse_description(json.dumps({**PLAIN, **changes}).encode(), "d.json")


def test_a_head_brings_what_its_family_takes() -> None:
    x, v5, v8 = (parsed(head=head) for head in ("yolox", "yolov5", "yolov8"))
    assert (x.channels, x.white, x.letterbox) == ("BGR", 255, "top-left")
    assert (v5.channels, v5.white, v5.letterbox) == ("RGB", 1, "centre")
    assert v5.model_copy(update={"head": "yolov8"}) == v8
    assert (v8.fill, v8.layout, v8.mean, v8.std) == (114, "NCHW", (0, 0, 0), (1, 1, 1))
    assert parsed(white=255, channels="BGR").white == 255


def test_coco_stands_for_its_classes() -> None:
    assert parsed(classes="coco").classes == COCO_CLASSES
    assert len(set(COCO_CLASSES)) == 80
    numbers = {0: "person", 2: "car", 9: "traffic light", 39: "bottle", 79: "toothbrush"}
    assert {k: COCO_CLASSES[k] for k in numbers} == numbers


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"head": "ssd"}, "head: found 'ssd'; expected yolox, yolov5 or yolov8"),
        ({"size": [64]}, "size"),
        ({"size": [0, 64]}, "expected height and width, 1 up"),
        ({"classes": []}, "classes: found 0 values"),
        ({"classes": ["a", "a"]}, "found the class name 'a'; expected names that differ"),
        ({"classes": ["all"]}, "found the class name 'all'"),
        ({"std": [1, 0, 1]}, "expected three numbers above 0"),
        ({"white": 0}, "white: found 0; expected more than 0"),
        ({"head": "yolox", "strides": [8, 48]}, "expected strides that divide height and width"),
        ({"nms": 0.5}, "nms: is no setting"),
    ],
)
def test_what_describes_no_detector_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(SettingsError, match=r"the description d\.json of the detector") as refused:
        parsed(**changes)
    assert told in str(refused.value)


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000, b"\xff\xfe", b" " * (1 << 21)])
def test_what_is_no_json_is_refused(text: bytes) -> None:
    with pytest.raises(SettingsError, match="it is no JSON"):
        parse_description(text, "d.json")
