"""The whole detecting flow: a real Prefect API, a real Ray cluster, and a detector of squares."""

import csv
import json
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from bright_squares import corners, detect_settings_for, write_detector, write_square_pair

from flows.desk.show import show
from flows.detect import detect_archive
from fusion_core.errors import SettingsError
from fusion_core.jobs.detect_settings import DetectSettings

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
COLUMNS = ["method", "class", "ap50", "ap"]


def labels(folder: Path) -> str:
    """Label p0 and p1 with a bright square each, p2 with nothing, and leave p3 unlabelled."""
    names = ["p0", "p1", "p2", "elsewhere"]
    content = {
        "images": [
            {"id": k, "file_name": f"vi/{name}.jpg", "width": 32, "height": 32}
            for k, name in enumerate(names)
        ],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 5, "bbox": corners(1, k)} for k in range(2)
        ],
        "categories": [{"id": 5, "name": "light"}],
    }
    path = folder / "labels.json"
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture
def settings(tmp_path: Path) -> DetectSettings:
    """Settings of a run over four pairs; the infrared shows what is labelled, the visible doesn't.

    The method m shows one of the two, and something on the pair on which nothing is.
    """
    source = tmp_path / "in"
    for k, (fused, vi) in enumerate([([(1, 0)], []), ([], []), ([(0, 0)], []), ([], [(0, 0)])]):
        write_square_pair(source, f"p{k}", ir=[(1, k)] if k < 2 else [], vi=vi, fused=fused)
    return detect_settings_for(
        *(source, tmp_path / "out", write_detector(tmp_path)),
        labels=labels(tmp_path),
        class_names={"light": "bright"},
        chunk_pairs=5,
    )


def table_of(settings: DetectSettings, run_id: str) -> dict[tuple[str, str], tuple[str, str]]:
    with (Path(settings.output) / "runs" / run_id / "table.csv").open() as file:
        rows = csv.DictReader(file)
        found = {(row["method"], row["class"]): (row["ap50"], row["ap"]) for row in rows}
    assert rows.fieldnames == COLUMNS
    return found


def test_images_are_looked_at_once_and_methods_compared_over_all_runs(
    settings: DetectSettings, tmp_path: Path
) -> None:
    published = tmp_path / "published.csv"
    published.write_text("method,class,ap50,ap,source\nTheirs,bright,0.75,,A paper\n")
    shown = {"contact_sheet": 2, "report": True, "published": str(published)}
    first: Any = detect_archive(settings.model_copy(update=shown))
    assert (first.found, first.images, first.detected, first.failed) == (4, 12, 12, 0)
    assert (first.labelled, first.unlabelled) == (3, 1)
    assert first.labels_without_pair == ("vi/elsewhere.jpg",)
    ap50 = {method: of["bright"]["ap50"] for method, of in first.precisions.items()}
    # Of two labels m meets one, by a box that scores as much as its wrong one behind it.
    assert ap50 == {"infrared": pytest.approx(1), "visible": 0, "m": pytest.approx(51 / 101)}
    assert "| Theirs (published) | 0.750 |" in first.table
    assert "(labelled boxes: 2 bright)" in first.table
    found = table_of(settings, first.run_id)
    methods = ("infrared", "visible", "m")
    assert [*found] == [(of, name) for of in methods for name in ("bright", "all")]
    assert float(found["m", "bright"][0]) == first.precisions["m"]["bright"]["ap50"]
    folder = Path(settings.output) / "runs" / first.run_id
    assert "toprule" in (folder / "table.tex").read_text()
    assert (folder / "summary.md").read_text().endswith(first.table)
    assert (folder / "contact_sheet.png").is_file()
    assert first.run_id in (folder / "report.html").read_text()
    assert first.request["model"]["sha256"]

    rows = pd.read_parquet(f"{settings.output}/detections")
    assert len(rows) == 12
    boxes = duckdb.sql(
        f"SELECT pair_id, unnest(x) AS x, unnest(y) AS y, unnest(class_name) AS name "
        f"FROM '{settings.output}/detections/*/*.parquet' WHERE method = 'infrared' ORDER BY 1"
    ).fetchall()
    assert boxes == [("p0", 0, 8, "bright"), ("p1", 8, 8, "bright")]
    assert "looked at 3 times and never fused" in show(settings.output, "p0").sentence()

    again: Any = detect_archive(settings)
    assert (again.detected, again.done_before) == (0, 12)
    assert table_of(settings, again.run_id) == found
    assert len(pd.read_parquet(f"{settings.output}/detections")) == 12

    # A damaged image is a failed row, and its pair leaves the table for all methods.
    damaged = Path(settings.source) / "fused_m/p0.png"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:50])
    third: Any = detect_archive(settings.model_copy(update={"max_failed": 1.0}))
    assert (third.detected, third.failed, third.done_before) == (0, 1, 11)
    assert third.failures[0]["stage"] == "decode"
    assert third.labelled == 2
    assert third.precisions["m"]["bright"]["ap50"] == 0
    assert "- infrared: 4 images looked at, 2 of them compared" in third.table
    assert "compared\n" not in first.table

    # Other settings are other boxes, which no run of before stands for.
    damaged.write_bytes(whole)
    changed = {"nms_overlap": 0.9, "limit": 3, "labels": None, "class_names": {}}
    other: Any = detect_archive(settings.model_copy(update=changed | {"report": True}))
    assert (other.detected, other.done_before, other.over_limit) == (3, 0, 9)
    assert (other.table, other.tables, other.labelled) == ("", {}, None)

    # The two sides alone are a question, too.
    sides: Any = detect_archive(settings.model_copy(update={"fused": {}, "report": True}))
    assert (sides.images, sides.done_before, sides.unpaired_images) == (8, 8, {})
    assert [*sides.precisions] == ["infrared", "visible"]
    assert "infrared" in (Path(sides.output) / "runs" / sides.run_id / "report.html").read_text()


def test_what_is_wrong_with_labels_ends_a_run_before_its_work(settings: DetectSettings) -> None:
    with pytest.raises(SettingsError, match=r"the labels have boxes of \['light'\]"):
        detect_archive(settings.model_copy(update={"class_names": {}}))
    assert not (Path(settings.output) / "detections").exists()
