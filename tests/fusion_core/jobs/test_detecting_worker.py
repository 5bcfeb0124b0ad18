import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bright_squares import (
    corners,
    detect_settings_for,
    squares,
    write_detector,
    write_square_pair,
)
from tiny import TODAY, png

from fusion_core.archive.fused_images import with_sides
from fusion_core.archive.layout import DETECTIONS_FOLDER, part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, cut_chunks, make_plan
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.archive.tables import part_schema
from fusion_core.detection.boxes import Boxes
from fusion_core.detection.detector import Detector
from fusion_core.detection.detector_file import read_detector
from fusion_core.jobs.committed import ChunkResult
from fusion_core.jobs.detect_settings import SIDES
from fusion_core.jobs.detecting_worker import DetectingWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_fused
from fusion_core.storage.store import Storage

PART = part_path(TODAY, "part", DETECTIONS_FOLDER)
Rows = dict[tuple[str, str], dict[str, Any]]


def worked(folder: Path, **changes: Any) -> tuple[ChunkResult, Rows]:
    """Look at all images below ``folder/in``, and return the result and the rows."""
    detector = write_detector(folder)
    settings = detect_settings_for(folder / "in", folder / "out", detector, **changes)
    source, output = Storage(settings.source), Storage(settings.output)
    pairing, images = list_fused(settings, source, output, TODAY, {})
    images = with_sides(images, pairing.pairs, SIDES)
    plan = make_plan(pairing, PART_SCHEMA.empty_table(), images=images.images)
    (chunk,) = cut_chunks(plan.todo, "key", 99)
    file = read_detector(detector)
    run = RunIdentity("first", TODAY, file.sha256, settings.settings_hash(file))
    worker = DetectingWorker(
        *(source, output),
        fused={"m": source},
        settings=settings,
        run=run,
        detector=Detector(file, "cpu"),
    )
    result = worker.run(Chunk("part", chunk.pairs))
    table = read_part(output, PART)
    assert table.schema.equals(part_schema(PART))
    return result, {(row["pair_id"], row["method"]): row for row in table.to_pylist()}


def found(row: dict[str, Any]) -> list[list[float]]:
    boxes = Boxes.of_row(row)
    assert {*boxes.classes} <= {"bright"}
    return sorted(boxes.corners.tolist())


def test_every_image_becomes_a_row_with_its_boxes(tmp_path: Path) -> None:
    write_square_pair(tmp_path / "in", "a", ir=[(0, 1)], vi=[(3, 3), (2, 0)], fused=[(1, 1)])
    write_square_pair(tmp_path / "in", "b", fused=[])
    result, rows = worked(tmp_path)
    assert (result.ok, result.failed) == (6, 0)
    assert [*rows] == [(pair, of) for pair in "ab" for of in ("infrared", "m", "visible")]
    assert found(rows["a", "infrared"]) == [corners(0, 1)]
    assert found(rows["a", "visible"]) == [corners(2, 0), corners(3, 3)]
    assert found(rows["a", "m"]) == [corners(1, 1)]
    for method in ("infrared", "visible", "m"):
        row = rows["b", method]
        assert (row["status"], row["x"], row["class_name"]) == ("ok", [], [])
    for (pair_id, method), row in rows.items():
        path = f"{dict(SIDES).get(method, 'fused_m')}/{pair_id}.png"
        body = (tmp_path / "in" / path).read_bytes()
        assert row["fused_url"].endswith(f"/in/{path}")
        assert row["fused_sha256"] == hashlib.sha256(body).hexdigest()
        assert row["fused_bytes"] == len(body)
        assert (row["height"], row["width"], row["engine"]) == (32, 32, "openvino")
        assert (row["metric_version"], row["device"]) == ("detections-1", "cpu")
        assert row["seconds_detect"] > 0


def test_deep_images_are_seen_as_they_are_scaled_for_fusing(tmp_path: Path) -> None:
    write_square_pair(tmp_path / "in", "a")
    counts = squares((1, 2), light=60, ground=42).astype(np.uint16) * 20 + 7000
    storage = Storage(str(tmp_path / "in"))
    for name in ("ir/a.png", "vi/a.png", "fused_m/a.png"):
        storage.write(name, png(counts))
    _, rows = worked(tmp_path, ir_range=(7500, 8200), vi_range=(7500, 8200))
    for method in ("infrared", "visible", "m"):
        assert found(rows["a", method]) == [corners(1, 2)]


def test_what_fails_is_a_row_and_costs_no_other(tmp_path: Path) -> None:
    write_square_pair(tmp_path / "in", "a", fused=[(0, 0)])
    write_square_pair(tmp_path / "in", "b", fused=[(0, 0)])
    fused = tmp_path / "in/fused_m/a.png"
    fused.write_bytes(fused.read_bytes()[:60])
    small = squares()[:16]
    (tmp_path / "in/ir/b.png").write_bytes(png(small))
    result, rows = worked(tmp_path)
    assert (result.ok, result.failed) == (2, 4)
    assert (rows["a", "m"]["status"], rows["a", "m"]["stage"]) == ("failed", "decode")
    assert rows["a", "m"]["x"] is None
    assert {rows["b", one]["error_type"] for one in ("infrared", "m", "visible")} == {
        "SizeMismatchError"
    }
    (tmp_path / "out/commits/detections" / f"date={TODAY}" / "part-part.parquet").unlink()
    _, rows = worked(tmp_path, size_mismatch="resize_ir")
    assert (rows["b", "infrared"]["status"], rows["b", "infrared"]["height"]) == ("ok", 32)


@pytest.mark.parametrize(
    ("changes", "count"),
    [({}, 3), ({"score_threshold": 0.999}, 0), ({"max_boxes": 2}, 2)],
)
def test_settings_say_which_boxes_are_left(
    changes: dict[str, Any], count: int, tmp_path: Path
) -> None:
    image = squares((0, 0), (1, 1), (2, 2), light=250)
    storage = Storage(str(tmp_path / "in"))
    for name in ("ir/a.png", "vi/a.png"):
        storage.write(name, png(image))
    _, rows = worked(tmp_path, **changes)
    assert len(rows["a", "infrared"]["x"]) == count
