import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bright_squares import DESCRIPTION, corners, detect_settings_for, detector_model, squares
from bright_squares import write_detector as write
from onnx import helper

from fusion_core.detection.detector import Detector
from fusion_core.detection.detector_file import read_detector
from fusion_core.errors import SettingsError, WeightsError


def rgb(*cells: tuple[int, int]) -> Any:
    return np.repeat(squares(*cells)[..., None], 3, axis=2)


@pytest.mark.parametrize("engine", ["auto", "openvino", "onnxruntime"])
def test_it_finds_what_is_there(engine: Any, tmp_path: Path) -> None:
    path = write(tmp_path)
    file = read_detector(path)
    assert file.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    detector = Detector(file, "cpu", engine)
    assert detector.engine == ("openvino" if engine == "auto" else engine)
    rule = detect_settings_for("in", "out", path)
    image = rgb((0, 1), (3, 2))
    found = detector.boxes(detector.output(image), (32, 32), rule)
    assert sorted(found.corners.tolist()) == [corners(0, 1), corners(3, 2)]
    assert found.classes == ("bright", "bright")
    assert found.scores == pytest.approx([1, 1])
    twice = np.kron(image, np.ones((2, 3, 1), np.uint8))
    large = detector.boxes(detector.output(twice), (64, 96), rule)
    assert sorted(large.corners.tolist()) == [[24, 0, 24, 16], [48, 48, 24, 16]]
    assert len(detector.boxes(detector.output(rgb()), (32, 32), rule)) == 0


def test_boxes_are_cut_at_the_image_and_none_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path, letterbox="top-left", head="yolov8")
    detector = Detector(read_detector(path), "cpu")
    output = np.zeros((1, 6, 3), np.float32)
    output[0, :, 0] = [2, 4, 8, 4, 0.9, 0]  # beyond the left edge
    output[0, :, 1] = [24, 28, 8, 4, 0.9, 0]  # in the fill below an image of 32 x 16
    output[0, :, 2] = [30, 14, 2, 8, 0, 0.95]
    rule = detect_settings_for("in", "out", path)
    found = detector.boxes(output, (16, 32), rule)
    assert found.corners.tolist() == [[29, 10, 2, 6], [0, 2, 6, 4]]
    assert found.classes == ("dark", "bright")


def test_a_description_is_beside_the_file_or_named(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "squares.json").rename(tmp_path / "other.json")
    with pytest.raises(SettingsError, match=r"there is no description .*squares\.json"):
        read_detector(path)
    assert read_detector(path, str(tmp_path / "other.json")).description.head == "yolov8"


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    path = Path(write(tmp_path))
    beside = path.with_suffix(".json")

    def refused(model: Any, told: str, **changes: Any) -> None:
        path.write_bytes(model.SerializeToString())
        beside.write_text(json.dumps({**DESCRIPTION, **changes}))
        with pytest.raises(WeightsError, match=told):
            Detector(read_detector(str(path)), "cpu")

    refused(detector_model(), r"input has the shape \[1, 3, 32, 32\], and its", size=[64, 32])
    refused(detector_model(), r"its description says \[1, 32, 32, 3\]", layout="NHWC")
    refused(
        detector_model(), r"shape \[1, 6, 16\]; expected \[1, 7, 'N'\]", classes=["a", "b", "c"]
    )
    refused(detector_model(channels=1), r"input has the shape \[1, 1, 32, 32\]")
    foreign = detector_model()
    foreign.opset_import.append(helper.make_opsetid("mine", 1))
    foreign.graph.node[0].domain = "mine"
    refused(foreign, "expected operators of ONNX")
    outside = detector_model()
    outside.graph.initializer[0].data_location = 1
    refused(outside, "lie in another file")
    with pytest.raises(WeightsError, match="No model at"):
        read_detector(str(tmp_path / "none.onnx"))
    path.write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(WeightsError, match="is a pickle"):
        read_detector(str(path))
