"""Places of scenes in a catalogue: of today's rows, of older ones, and of what no run wrote."""

import io
import struct
from pathlib import Path
from typing import Any

import geopandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from catalogued_scenes import scene_row, scene_rows

from fusion_core.scenes.stac_places import CORNERS, MOST_BYTES, places
from fusion_core.scenes.stac_rows import CATALOG_COLUMNS, SCENE_SCHEMA, by_day, newest_scenes
from fusion_core.scenes.stac_table import read_scenes, write_items

TILTED = shapely.Polygon([(138.1, 35), (139, 34.2), (140.9, 35.1), (140, 35.9)])
HOLED = shapely.box(138, 34, 141, 36) - shapely.box(139, 34.5, 140, 35.5)
FIJI = shapely.MultiPolygon([shapely.box(177, -19, 180, -16), shapely.box(-180, -18, -179, -17)])
JAPAN = (138.0, 34.0, 141.0, 36.0)


def row_of(outline: Any, **changed: Any) -> dict[str, Any]:
    return scene_row("a", outline=outline, **changed)


def place_of(row: dict[str, Any]) -> tuple[Any, tuple[float, ...] | None]:
    """Outline and corners of a scene, in a catalogue."""
    (found,) = pa.table(places(scene_rows(row))).to_pylist()
    corners = tuple(found[name] for name in CORNERS)
    if found["outline"] is None:
        assert corners == (None,) * 4
        return None, None
    return shapely.from_wkb(found["outline"]), corners


@pytest.mark.parametrize("outline", [TILTED, HOLED, FIJI])
def test_a_scene_lies_where_its_outline_says(outline: shapely.Geometry) -> None:
    geometry, corners = place_of(row_of(shapely.to_wkb(outline)))
    assert geometry.equals(outline)
    assert corners == ((177, -19, -179, -16) if outline is FIJI else outline.bounds)


def test_a_scene_of_an_older_version_lies_in_its_box() -> None:
    geometry, corners = place_of(row_of(None))
    assert geometry.equals(shapely.box(*JAPAN))
    assert corners == JAPAN


def test_an_outline_is_a_place_where_the_grid_has_none() -> None:
    nowhere = dict.fromkeys(CORNERS)
    assert place_of(row_of(shapely.to_wkb(TILTED), **nowhere))[1] == TILTED.bounds
    assert place_of(row_of(None, **nowhere)) == (None, None)


LONG = shapely.to_wkb(shapely.segmentize(TILTED, 0.001))
assert len(LONG) > MOST_BYTES
NESTED = struct.pack("<BII", 1, 7, 1) * 5000


@pytest.mark.parametrize(
    "planted",
    [
        b"",
        b"nonsense",
        NESTED,
        shapely.to_wkb(TILTED)[:-8],
        struct.pack("<BII", 1, 3, 0xFFFFFFFF),
        struct.pack("<BII", 1, 6, 0xFFFFFFFF),
        shapely.to_wkb(shapely.Point(139, 35)),
        shapely.to_wkb(shapely.Polygon()),
        shapely.to_wkb(shapely.box(138, 34, 200, 36)),
        shapely.to_wkb(shapely.box(138, 34, 139, float("inf"))),
        shapely.to_wkb(TILTED).replace(struct.pack("<d", 35.9), struct.pack("<d", float("nan"))),
        LONG,
    ],
    ids=range(12),
)
def test_an_outline_that_no_run_wrote_is_none(planted: bytes) -> None:
    assert place_of(row_of(planted))[1] == JAPAN


def test_geopandas_reads_outlines_and_a_catalogue_keeps_them(tmp_path: Path) -> None:
    rows = [
        scene_row(f"{name}", outline=outline and shapely.to_wkb(outline))
        for name, outline in (("a", TILTED), ("b", HOLED), ("c", FIJI), ("d", None))
    ]
    found = by_day(newest_scenes([scene_rows(*rows).select(CATALOG_COLUMNS)], tmp_path))
    scenes = pa.concat_tables([SCENE_SCHEMA.empty_table(), *(scenes for _, scenes in found)])
    body = write_items(scenes, None)
    frame = geopandas.read_parquet(io.BytesIO(body))
    for geometry, outline in zip(
        frame.geometry, (TILTED, HOLED, FIJI, shapely.box(*JAPAN)), strict=True
    ):
        assert geometry.equals(outline)
    near = geopandas.read_parquet(io.BytesIO(body), bbox=(138, 34, 138.05, 34.05))
    assert near["fuse-archive:pair_id"].tolist() == ["b", "d"]
    assert read_scenes(pq.read_table(io.BytesIO(body))).equals(scenes)
