"""What row and item of a fused scene say of its place, whatever says so in its files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from generated_scenes import PLACE, UTM
from rasterio.control import GroundControlPoint
from scene_fixture import SIZE, SceneFixture, path_of

PLACED = ("crs", "west", "south", "east", "north", "overlap", "remark")


@pytest.fixture
def archive(tmp_path: Path) -> SceneFixture:
    return SceneFixture(tmp_path)


def place_by_points(archive: SceneFixture, side: str, name: str, bend: float = 0.0) -> None:
    points = [
        GroundControlPoint(row, column, *(PLACE @ (column + bend * column**2, row)))
        for row in np.linspace(0, SIZE[0], 4)
        for column in np.linspace(0, SIZE[1], 4)
    ]
    with rasterio.open(archive.path(side, name), "r+") as dataset:
        dataset.gcps = points, rasterio.CRS.from_string(UTM)


def item_of(archive: SceneFixture, row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(archive.output.read(path_of(archive, row, "item_url")))
    return found


def test_a_scene_placed_by_points_lies_where_its_twin_with_a_transform_does(
    archive: SceneFixture,
) -> None:
    archive.put("plain")
    archive.put("points", crs=None, transform=None, ir_profile={"crs": UTM, "transform": PLACE})
    place_by_points(archive, "vi", "points")
    plain, points = (archive.fuse_one(name) for name in ("plain", "points"))
    assert points["crs"] == UTM
    assert [points[name] for name in PLACED] == pytest.approx([plain[name] for name in PLACED])
    items = [item_of(archive, row) for row in (plain, points)]
    assert items[1]["bbox"] == pytest.approx(items[0]["bbox"])
    fields = [item["properties"] | item["assets"]["fused"] for item in items]
    for name in ("proj:code", "proj:shape", "proj:bbox", "proj:transform"):
        assert fields[1][name] == pytest.approx(fields[0][name])


def test_a_scene_on_a_curved_grid_claims_no_place(archive: SceneFixture) -> None:
    archive.put("a", crs=None, transform=None, ir_profile={"crs": None, "transform": None})
    for side in ("ir", "vi"):
        place_by_points(archive, side, "a", bend=0.01)
    row = archive.fuse_one("a")
    assert (row["overlap"], row["remark"]) == (1.0, None)
    assert (row["crs"], row["west"]) == (None, None)


@pytest.mark.parametrize("without", ["ir", "vi"])
def test_a_match_by_pixel_with_a_placed_file_is_remarked(
    archive: SceneFixture, without: str
) -> None:
    nowhere: dict[str, Any] = {"crs": None, "transform": None}
    places = {"ir": {}, "vi": {}, without: nowhere}
    archive.put("a", ir_profile=places["ir"], **places["vi"])
    row = archive.fuse_one("a")
    assert row["remark"] == f"matched by pixel, since {without}/a.tif has no coordinate system"
    archive.put("b", ir_profile=nowhere, **nowhere)
    assert archive.fuse_one("b")["remark"] is None
