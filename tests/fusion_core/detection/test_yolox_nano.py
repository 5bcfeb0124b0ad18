"""A real detector on real pairs: night and day are told apart as by those who ran it before."""

from pathlib import Path

import numpy as np
import pytest
from bright_squares import detect_settings_for
from numpy.typing import NDArray

from fusion_core.detection.comparison import compare_detections, detected_pairs
from fusion_core.detection.description import Description
from fusion_core.detection.detector import Detector
from fusion_core.detection.detector_file import DetectorFile
from fusion_core.detection.label_files import read_labels
from fusion_core.detection.label_matching import MatchedLabels
from fusion_core.images.codecs import decode
from fusion_core.images.colour import luminance, replace_luminance
from fusion_core.models.model_file import read_model_file

EXPECTED = {
    "visible": {"person": 0.574, "car": 0.960},
    "infrared": {"person": 0.910, "car": 0.583},
    "mean": {"person": 0.907, "car": 0.994},
}
TOLERANCE = 0.065
"""Their threshold of scores and their suppression aren't known: between scores of 0.001 and 0.1,
and overlaps of 0.45 and 0.65, values differ by up to 0.06."""


def images(folder: Path, name: str) -> dict[str, NDArray[np.uint8]]:
    ir, vi = (decode((folder / side / f"{name}.png").read_bytes()).pixels for side in ("ir", "vi"))
    mean = replace_luminance(vi, (luminance(ir) + luminance(vi)) / 2)
    grey = np.repeat(ir[..., None] if ir.ndim == 2 else ir[..., :1], 3, axis=2)
    return {"infrared": grey, "visible": vi, "mean": mean}


@pytest.mark.slow
def test_average_precision_on_msrs(shared_data: Path) -> None:
    folder = shared_data / "detection"
    if not (folder / "yolox_nano.onnx").is_file():
        pytest.skip("no detector: ../shared/data/detection/yolox_nano.onnx is missing")
    description = Description(head="yolox", size=(416, 416), classes="coco")
    file = DetectorFile(read_model_file(str(folder / "yolox_nano.onnx")), description)
    detector, rule = Detector(file, "cpu"), detect_settings_for("in", "out", "d.onnx")
    rule = rule.model_copy(update={"score_threshold": 0.01})
    template = f"{folder}/msrs/labels/{{pair}}.txt"
    labels = {one.pair_id: one for one in read_labels(template, description.classes, ("pair",))}
    assert len(labels) == 23
    found: dict[str, dict[str, object]] = {method: {} for method in EXPECTED}
    for name in labels:
        for method, pixels in images(folder / "msrs", str(name)).items():
            output = detector.output(np.ascontiguousarray(pixels))
            found[method][str(name)] = detector.boxes(output, (480, 640), rule)
    pairs = detected_pairs(found, dict.fromkeys(labels, (480, 640)), MatchedLabels(labels))  # type: ignore[arg-type]
    comparison = compare_detections(pairs, dict.fromkeys(EXPECTED, 23))
    assert comparison.labels == {"person": 39, "car": 12}
    ap50 = {
        method: {name: of[name].ap50 for name in ("person", "car")}
        for method, of in comparison.precisions.items()
    }
    for method, of in EXPECTED.items():
        assert ap50[method] == pytest.approx(of, abs=TOLERANCE), method
    # What the figures are for: neither side alone finds both, and a plain mean of them does.
    assert comparison.precisions["mean"]["all"].ap50 > 0.9  # type: ignore[operator]
    for side in ("infrared", "visible"):
        assert comparison.precisions[side]["all"].ap50 < 0.85  # type: ignore[operator]
