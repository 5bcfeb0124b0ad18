import re
from typing import Any

import numpy as np
import pytest
import shapely

from fusion_core.reports.page.footprint_map import Footprint, footprint_map


def row_of(**changes: Any) -> dict[str, Any]:
    known = {"pair_id": "lane#3", "ir_version": "v", "vi_version": "w", "model_hash": "m" * 64}
    made = {"fused_format": "cog", "fused_sha256": "ab" * 32, "fused_bytes": 7, "precision": "fp32"}
    ends = {"west": 10.0, "south": 47.0, "east": 11.0, "north": 48.0}
    where = {"settings_hash": "s", "device": "cpu", "engine": "eager", "fused_url": "http://evil"}
    rest = {"item_url": "http://evil", "outline": None}
    return {**known, **made, **where, **ends, **rest, **changes}


def footprint(**changes: Any) -> Footprint:
    found = Footprint.of_row(row_of(**changes))
    assert found is not None
    return found


def test_links_are_derived_and_no_url_of_a_row_is_followed() -> None:
    found = footprint()
    assert found.image.startswith("../../fused/s/lane%25233.")
    assert found.image.endswith(".tif")
    assert found.item == f"{found.image.removesuffix('.tif')}.json"
    assert found.path.startswith("fused/s/lane%233.")
    assert footprint(item_url=None).item is None


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf"), 1e9, "1"])
def test_a_row_whose_ends_are_no_degrees_has_no_footprint(bad: Any) -> None:
    assert Footprint.of_row(row_of(west=bad)) is None


def test_a_scene_across_the_antimeridian_is_drawn_on_both_sides() -> None:
    found = footprint(west=179.0, east=-179.5)
    bounds = [polygon.bounds for polygon in found.polygons()]
    assert bounds == [(179.0, 47.0, 180.0, 48.0), (-180.0, 47.0, -179.5, 48.0)]
    wide = footprint(west=160.0, south=0.0, east=-160.0, north=30.0)
    assert footprint_map([wide]).count('class="footprint"') == 2


def test_a_scene_is_drawn_by_the_outline_of_what_holds_data() -> None:
    tilted = shapely.Polygon(
        [(10, 47), (11, 47), (10, 48)], [[(10.1, 47.1), (10.4, 47.1), (10.1, 47.4)]]
    )
    found = footprint(outline=tilted.wkb, west=0.0)
    assert (found.west, found.south, found.east, found.north) == tilted.bounds
    (path,) = re.findall(
        r'<path class="footprint" fill-rule="evenodd" d="(.*?)"/>', footprint_map([found])
    )
    rings = [np.array(ring.split(), float).reshape(-1, 2) for ring in path.strip("MZ").split("ZM")]
    assert [len(ring) for ring in rings] == [3, 3]
    # A degree of longitude is as many pixels wide as one of latitude is high, by its cosine.
    (x, y), (width, height) = rings[0].min(axis=0), np.ptp(rings[0], axis=0)
    assert width / height == pytest.approx(np.cos(np.radians(47.5)), rel=0.01)
    hole = (rings[1] - (x, y)) / (width, height)
    assert hole[hole[:, 1].argmin()] == pytest.approx((0.1, 0.6), abs=0.01)


def test_an_outline_of_many_corners_is_drawn_by_its_box() -> None:
    turns = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    lengths = np.where(np.arange(300) % 2, 1.0, 0.5)
    star = shapely.Polygon(np.stack([np.cos(turns), np.sin(turns)], axis=1) * lengths[:, None])
    drawn = footprint_map([footprint(outline=star.wkb)])
    assert (drawn.count("<rect"), drawn.count('<path class="footprint')) == (1, 0)


def test_an_outline_of_many_or_empty_parts_is_drawn_by_few() -> None:
    many = shapely.MultiPolygon([shapely.box(k, 1, k + 0.5, 2) for k in range(20)])
    (polygon,) = footprint(outline=many.wkb).polygons()
    assert polygon.bounds == many.bounds
    empty = shapely.from_wkt("MULTIPOLYGON (EMPTY, ((3 1, 4 1, 4 2, 3 2, 3 1)))")
    drawn = footprint_map([footprint(outline=empty.wkb)])
    assert drawn.count('class="footprint"') == 1
    assert "nan" not in drawn


@pytest.mark.parametrize(
    "outline", [None, b"", b"no outline", shapely.Point(1, 1).wkb, shapely.box(500, 1, 501, 2).wkb]
)
def test_what_is_no_area_on_earth_is_drawn_by_the_rows_ends(outline: bytes | None) -> None:
    (polygon,) = footprint(outline=outline).polygons()
    assert polygon.bounds == (10.0, 47.0, 11.0, 48.0)


def test_the_map_shows_all_footprints_with_degrees_and_names() -> None:
    drawn = footprint_map([footprint(), footprint(pair_id='"><script>', west=12.0, east=12.5)])
    assert drawn.count('class="footprint"') == 2
    assert "10°E" in drawn
    assert "47.5°N" in drawn or "48°N" in drawn
    assert "<script>" not in drawn
    assert "<title>&#34;&gt;&lt;script&gt;</title>" in drawn


def test_a_point_is_still_seen() -> None:
    drawn = footprint_map([footprint(east=10.0, north=47.0)])
    assert 'width="4.0" height="4.0"' in drawn
