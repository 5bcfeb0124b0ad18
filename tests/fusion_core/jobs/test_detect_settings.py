from pathlib import Path
from typing import Any

import pytest
from bright_squares import detect_settings_for, write_detector
from pydantic import ValidationError

from fusion_core.detection.detector_file import read_detector
from fusion_core.jobs.detect_settings import DetectSettings
from fusion_core.settings.scaling import ScalingSettings

DECIDING: dict[str, Any] = {
    **{"size_mismatch": "resize_ir", "scaling": "type", "percentiles": (5, 80)},
    **{"ir_range": (7000, 9000), "vi_range": (20, 90), "nodata": 0},
    **{"score_threshold": 0.2, "nms_overlap": 0.7, "nms_by_class": False, "max_boxes": 5},
}
OTHERS: dict[str, Any] = {
    **{"limit": 3, "reprocess": "all", "shown_score": 0.5, "contact_sheet": 2, "fused": {}},
    **{"labels": "l.json", "published": "p.csv", "engine": "onnxruntime"},
}


def settings(**changes: Any) -> DetectSettings:
    return detect_settings_for("in", "out", "d.onnx", **changes)


def test_what_finds_other_boxes_has_another_hash_and_nothing_else(tmp_path: Path) -> None:
    detector = read_detector(write_detector(tmp_path))
    before = settings().settings_hash(detector)
    assert settings().hashed_fields() == {*DECIDING}
    assert {*ScalingSettings.model_fields} <= {*DECIDING}
    hashes = {settings(**{k: v}).settings_hash(detector) for k, v in DECIDING.items()}
    described = read_detector(write_detector(tmp_path, fill=0))
    hashes.add(settings().settings_hash(described))
    with open(detector.file.url, "ab") as file:
        file.write(b"\x3a\x00")  # another, empty field
    hashes.add(settings().settings_hash(read_detector(detector.file.url)))
    assert len(hashes | {before}) == len(DECIDING) + 3
    assert {settings(**{k: v}).settings_hash(detector) for k, v in OTHERS.items()} == {before}


def test_the_sides_are_methods_without_a_template() -> None:
    assert settings().methods == ("infrared", "visible", "m")
    assert settings(fused={}).methods == ("infrared", "visible")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"fused": {"infrared": "x/{pair}.png"}}, "is the pairs' own images"),
        ({"fused": {"visible": "x/{pair}.png"}}, "is the pairs' own images"),
        ({"fused": {"m": "x/{other}.png"}}, "lacks"),
        ({"detector": "s3://user:planted@host/d.onnx"}, "user name and password"),
        ({"labels": "s3://user:planted@host/l.json"}, "user name and password"),
        ({"classes": ["car"]}, "found classes and no labels"),
        ({"class_names": {"bike": "bicycle"}}, "found class_names and no labels"),
        ({"labels": "l.json", "label_classes": "c.txt"}, "expected one of the two"),
        ({"score_threshold": 0}, "greater than 0"),
        ({"max_boxes": 301}, "less than or equal to 300"),
    ],
)
def test_settings_that_say_nothing_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings(**changes)
    assert told in str(refused.value)
    assert "planted" not in str(refused.value)
