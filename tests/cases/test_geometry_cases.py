"""Pairs whose place on the Earth was once misread, from files beside the repository."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from rasterio import warp
from scene_fixture import SceneFixture, opened_scene, two_files

from fusion_core.models.baselines import BaselineFuser

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"

COVERED = [
    ("02_global_infrared", "utm33"),
    ("02_global_infrared", "laea"),
    ("03_geostationary_infrared", "ll"),
    ("09_gcps", "half_size"),
]


def files_of(case: str, pair_id: str) -> tuple[Path, Path]:
    """Return the infrared and the visible file of a pair, as the case's index names them."""
    folder = CASES / case
    if not folder.is_dir():
        pytest.skip(f"no such case: ../shared/cases/{case} is missing beside the repository")
    with (folder / "index.csv").open() as file:
        (row,) = [row for row in csv.DictReader(file) if row["pair_id"] == pair_id]
    return folder / "src" / row["ir"], folder / "src" / row["vi"]


def fused_row(folder: Path, ir: Path, vi: Path) -> dict[str, Any]:
    archive = SceneFixture(folder, fuser=BaselineFuser("mean"), source=str(ir.parent))
    (row,) = archive.fuse(two_files(ir.parent, ir, vi))
    return row


def expected_infrared(ir: Path, vi: Path) -> NDArray[np.float64]:
    """Look every visible pixel up in the infrared, and mix the four pixels around it."""
    with rasterio.open(vi) as visible:
        points, crs = visible.gcps
        crs, transform = visible.crs or crs, visible.transform
        if points:
            transform = rasterio.transform.from_gcps(points)
        columns, rows = np.meshgrid(*(np.arange(n) + 0.5 for n in (visible.width, visible.height)))
    xs = transform.a * columns + transform.c
    ys = transform.e * rows + transform.f
    with rasterio.open(ir) as infrared:
        values = infrared.read(1).astype(np.float64)
        found = np.array(warp.transform(crs, infrared.crs, xs.ravel(), ys.ravel()))
        place = infrared.transform
    x = np.clip((found[0] - place.c) / place.a - 0.5, 0, values.shape[1] - 1)
    y = np.clip((found[1] - place.f) / place.e - 0.5, 0, values.shape[0] - 1)
    left = np.minimum(x.astype(int), values.shape[1] - 2)
    top = np.minimum(y.astype(int), values.shape[0] - 2)
    upper, lower = (
        (1 - x + left) * values[row, left] + (x - left) * values[row, left + 1]
        for row in (top, top + 1)
    )
    return np.reshape((1 - y + top) * upper + (y - top) * lower, columns.shape)


@pytest.mark.parametrize(("case", "pair_id"), COVERED)
def test_the_whole_visible_scene_is_fused(tmp_path: Path, case: str, pair_id: str) -> None:
    row = fused_row(tmp_path, *files_of(case, pair_id))
    assert (row["status"], row["error_message"]) == ("ok", None)
    assert (row["overlap"], row["remark"]) == (1.0, None)
    assert (row["height"], row["width"]) == (72, 96)
    assert None not in (row["crs"], row["west"], row["north"])


@pytest.mark.parametrize(("case", "pair_id"), COVERED)
def test_the_infrared_is_read_where_it_lies(tmp_path: Path, case: str, pair_id: str) -> None:
    ir, vi = files_of(case, pair_id)
    settings = SceneFixture(tmp_path, source=str(ir.parent)).settings
    with opened_scene(ir.parent, ir, vi, settings) as scene:
        height, width = scene.size
        found = scene.ir.read((slice(0, height), slice(0, width)))
    expected = expected_infrared(ir, vi)
    assert found.valid.all()
    # The warp is off by an eighth of an infrared pixel at most, and rounds.
    steepest = max(float(np.abs(np.diff(expected, axis=k)).max()) for k in (0, 1))
    assert np.abs(found.luminance - expected).max() <= 1 + steepest


def test_the_fused_scene_keeps_its_control_points(tmp_path: Path) -> None:
    ir, vi = files_of("09_gcps", "half_size")
    row = fused_row(tmp_path, ir, vi)
    with rasterio.open(vi) as visible, rasterio.open(row["fused_url"]) as fused:
        (before, system), (after, kept) = visible.gcps, fused.gcps
    ties = [[(p.row, p.col, p.x, p.y) for p in points] for points in (before, after)]
    assert (kept, ties[1]) == (system, ties[0])
    assert row["crs"] == "EPSG:32633"
    lon, lat = warp.transform("EPSG:32633", "EPSG:4326", [500000, 500960], [5.4e6, 5399280])
    assert (row["west"], row["east"]) == pytest.approx(lon, abs=1e-4)
    assert (row["south"], row["north"]) == pytest.approx(lat[::-1], abs=1e-4)


def test_control_points_far_from_the_infrared_are_no_pair(tmp_path: Path) -> None:
    row = fused_row(tmp_path, *files_of("09_gcps", "far_away"))
    assert (row["status"], row["stage"]) == ("failed", "pair")
    assert "ir_far.tif and vi.tif don't overlap" in row["error_message"]
