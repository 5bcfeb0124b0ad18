"""AP against pycocotools on files written here, and against values computed by hand."""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fusion_core.detection.average_precision import (
    SeenImage,
    average_precision,
    require_pycocotools,
)
from fusion_core.detection.boxes import Boxes
from fusion_core.detection.labels import LabelBox
from fusion_core.errors import SettingsError

CLASSES = ("person", "car", "bus")


def seen(
    labels: list[tuple[str, list[float]]], found: list[tuple[str, float, list[float]]]
) -> SeenImage:
    boxes = Boxes(
        np.array([box for *_, box in found], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in found], np.float32),
        tuple(name for name, *_ in found),
    )
    return SeenImage([LabelBox((a, b, c, d), name) for name, (a, b, c, d) in labels], boxes)


def invented(seed: int) -> list[SeenImage]:
    """Images with labels of two classes, of which some are crowds, and boxes near them or not."""
    rng = np.random.default_rng(seed)
    images = []
    for _ in range(12):
        count = int(rng.integers(0, 6))
        corners = np.concatenate(
            (rng.uniform(0, 80, (count, 2)), rng.uniform(5, 60, (count, 2))), 1
        )
        names = [CLASSES[k] for k in rng.integers(0, 2, count)]
        labels = [
            LabelBox(tuple(map(float, row)), name, bool(rng.uniform() < 0.15))
            for row, name in zip(corners, names, strict=True)
        ]
        near = corners + rng.normal(0, 4, corners.shape)
        far = np.concatenate((rng.uniform(0, 80, (130, 2)), rng.uniform(5, 60, (130, 2))), 1)
        both = np.clip(np.concatenate((near, far)), 1, None).astype(np.float32)
        classes = (*names, *(CLASSES[k] for k in rng.integers(0, 3, 130)))
        scores = rng.uniform(0, 1, len(both)).astype(np.float32)
        images.append(SeenImage(labels, Boxes(both, scores, classes)))
    return images


def by_files(images: list[SeenImage], folder: Path) -> Any:
    """Return pycocotools' own statistics of files as its users write them, and its precision."""
    ids = {name: 10 * k for k, name in enumerate(CLASSES, 1)}
    truth: dict[str, Any] = {
        "images": [{"id": 100 + k, "width": 200, "height": 200} for k in range(len(images))],
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
        "annotations": [],
    }
    results = []
    for k, image in enumerate(images):
        for label in image.labels:
            x, y, width, height = label.corners
            own = {
                "image_id": 100 + k,
                "category_id": ids[label.class_name],
                "area": width * height,
            }
            own |= {"bbox": [x, y, width, height], "iscrowd": int(label.crowd)}
            truth["annotations"].append({"id": len(truth["annotations"]) + 1, **own})
        boxes = image.boxes
        for place, name in enumerate(boxes.classes):
            own = {"image_id": 100 + k, "category_id": ids[name]}
            own |= {"bbox": boxes.corners[place].tolist(), "score": float(boxes.scores[place])}
            results.append(own)
    (folder / "truth.json").write_text(json.dumps(truth))
    (folder / "results.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(folder / "truth.json"))
        evaluation = COCOeval(coco, coco.loadRes(str(folder / "results.json")), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_is_what_pycocotools_says_of_files(seed: int, tmp_path: Path) -> None:
    images = invented(seed)
    found, evaluation = average_precision(images, CLASSES), by_files(images, tmp_path)
    assert found["all"].ap == pytest.approx(evaluation.stats[0], abs=1e-12)
    assert found["all"].ap50 == pytest.approx(evaluation.stats[1], abs=1e-12)
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    for k, name in enumerate(CLASSES[:2]):
        assert found[name].ap50 == pytest.approx(precision[0, :, k].mean(), abs=1e-12)
        assert found[name].ap == pytest.approx(precision[:, :, k].mean(), abs=1e-12)
        assert 0 < found[name].ap < 1  # type: ignore[operator]
    assert (found["bus"].ap50, found["bus"].ap) == (None, None)


def test_ap_by_hand() -> None:
    """Right, wrong, right, of three labels: precision 1 up to recall 1/3, and 2/3 up to 2/3."""
    box, other, third = [0.0, 0, 10, 10], [20.0, 0, 10, 10], [40.0, 0, 10, 10]
    found = average_precision(
        [
            seen([("car", box), ("car", other)], [("car", 0.9, box), ("car", 0.8, third)]),
            seen([("car", box)], [("car", 0.7, box), ("person", 0.95, box)]),
        ],
        ["car"],
    )
    expected = (34 * 1 + 33 * 2 / 3) / 101  # recalls 0 … 0.33, and 0.34 … 0.66
    assert found["car"].ap50 == pytest.approx(expected)
    assert found["car"].ap == pytest.approx(expected)
    assert found["all"] == found["car"]


def test_a_box_counts_at_the_overlaps_that_it_reaches() -> None:
    found = average_precision(
        [seen([("car", [0, 0, 10, 10])], [("car", 0.9, [0, 0, 10, 7.2])])], ["car"]
    )
    assert (found["car"].ap50, found["car"].ap) == (pytest.approx(1), pytest.approx(0.5))


def test_nothing_labelled_is_nothing_said_and_nothing_found_is_zero() -> None:
    box = [0.0, 0, 10, 10]
    found = average_precision([seen([], [("car", 0.9, box)])], ["car"])
    assert {name: (one.ap50, one.ap) for name, one in found.items()} == {
        "car": (None, None),
        "all": (None, None),
    }
    found = average_precision([seen([("car", box)], [])], ["car", "bus"])
    assert (found["car"].ap50, found["bus"].ap50, found["all"].ap50) == (0, None, 0)


def test_boxes_of_an_image_without_labels_lower_it() -> None:
    box = [0.0, 0, 10, 10]
    one = seen([("car", box)], [("car", 0.5, box)])
    assert average_precision([one], ["car"])["car"].ap50 == pytest.approx(1)
    wrong = seen([], [("car", 0.9, box)])
    assert average_precision([one, wrong], ["car"])["car"].ap50 == pytest.approx(0.5)


def test_pycocotools_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    with pytest.raises(SettingsError, match=r"pip install 'fuse-archive\[detect\]'"):
        require_pycocotools()
