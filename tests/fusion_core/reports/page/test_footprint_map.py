from typing import Any

import pytest

from fusion_core.reports.page.footprint_map import Footprint, footprint_map


def row_of(**changes: Any) -> dict[str, Any]:
    known = {"pair_id": "lane#3", "ir_version": "v", "vi_version": "w", "model_hash": "m" * 64}
    made = {"fused_format": "cog", "fused_sha256": "ab" * 32, "fused_bytes": 7, "precision": "fp32"}
    ends = {"west": 10.0, "south": 47.0, "east": 11.0, "north": 48.0}
    where = {"settings_hash": "s", "device": "cpu", "engine": "eager", "fused_url": "http://evil"}
    return {**known, **made, **where, **ends, "item_url": "http://evil", **changes}


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


def test_a_scene_across_the_antimeridian_has_two_boxes() -> None:
    boxes = list(footprint(west=179.0, east=-179.5).boxes())
    assert boxes == [(179.0, 47.0, 180.0, 48.0), (-180.0, 47.0, -179.5, 48.0)]
    assert footprint_map([footprint(west=179.0, east=-179.5)]).count("<rect") == 2


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
