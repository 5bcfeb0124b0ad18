import datetime as dt
import json
from pathlib import Path
from typing import Any, get_args

import pystac
import pytest
from catalogued_scenes import TAKEN, scene_row, scene_rows
from hypothesis import given
from hypothesis import strategies as st
from pystac.validation import validate_dict
from stac_schemas import PROCESSING, go_offline

from fusion_core.archive.published_rows import Mark
from fusion_core.scenes.stac_root import (
    Box,
    CatalogKind,
    Root,
    extent,
    make_root,
    read_root,
    write_root,
)
from fusion_core.scenes.stac_rows import CATALOG_COLUMNS, SCENE_SCHEMA, by_day, newest_scenes
from fusion_core.storage.store import Storage

KINDS: tuple[CatalogKind, ...] = get_args(CatalogKind)
JAPAN: Box = (138.0, 34.0, 141.0, 36.0)
CHILE: Box = (-75.0, -40.0, -70.0, -35.0)
FIJI: Box = (177.0, -19.0, -179.0, -16.0)
ALEUTS: Box = (170.0, 51.0, -170.0, 55.0)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(monkeypatch)


def root_of(folder: Path, *rows: dict[str, Any], kind: CatalogKind = "collection") -> Root:
    root = Root(kind=kind, mark=Mark(generation=3, number=2))
    for day, scenes in by_day(newest_scenes([scene_rows(*rows).select(CATALOG_COLUMNS)], folder)):
        root = root.with_day(day, scenes)
    return root


def test_a_collection_tells_where_when_and_by_what(tmp_path: Path) -> None:
    later = TAKEN + dt.timedelta(days=3, hours=1)
    chile = dict(zip(("west", "south", "east", "north"), CHILE, strict=True))
    before = scene_row("b", acquired=later, software_version="0.1.0", attempt=None, **chile)
    root = make_root(root_of(tmp_path, scene_row("a"), before))
    assert validate_dict(root)
    assert root["extent"] == {
        "spatial": {"bbox": [[-75.0, -40.0, 141.0, 36.0]]},
        "temporal": {"interval": [["2015-05-02T01:35:00Z", "2015-05-05T02:35:00Z"]]},
    }
    software = [{"fuse-archive": "0.1.0"}, {"fuse-archive": "0.2.0"}]
    assert root["summaries"] == {"processing:software": software}
    assert root["stac_extensions"] == [PROCESSING]
    assert root["assets"]["items"]["roles"] == ["collection-mirror"]
    assert pystac.Collection.from_dict(root).extent.spatial.bboxes == [[-75, -40, 141, 36]]


def test_a_catalogue_links_to_its_days(tmp_path: Path) -> None:
    root = make_root(root_of(tmp_path, scene_row("a"), kind="catalog"))
    assert validate_dict(root)
    child = {"rel": "child", "href": "./stac/date=2015-05-02/catalog.json"}
    assert root["links"][-1] == {**child, "type": "application/json", "title": "2015-05-02"}
    (table,) = [link["href"] for link in root["links"] if link["rel"] == "items"]
    assert table == "./stac/date=*/items.parquet"


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_yet(kind: CatalogKind) -> None:
    root = make_root(Root(kind=kind, mark=Mark()))
    assert validate_dict(root)
    assert "summaries" not in root
    if kind == "collection":
        assert root["extent"]["spatial"]["bbox"] == [[-180, -90, 180, 90]]
        assert root["extent"]["temporal"]["interval"] == [[None, None]]


@pytest.mark.parametrize("kind", KINDS)
def test_a_root_is_read_as_it_was_written(tmp_path: Path, kind: CatalogKind) -> None:
    rows = scene_row("a"), scene_row("b", attempt=None), scene_row("c", attempt=None)
    root = root_of(tmp_path, *rows, kind=kind)
    assert root.unnumbered == {TAKEN.date(): ("b", "c")}
    output = Storage(str(tmp_path))
    assert write_root(output, root) == output.url(f"{kind}.json")
    assert read_root(output, kind) == root
    (other,) = {*KINDS} - {kind}
    assert read_root(output, other) is None


def test_a_day_without_scenes_is_named_no_more(tmp_path: Path) -> None:
    root = root_of(tmp_path, scene_row("a", attempt=None))
    none = root.with_day(TAKEN.date(), SCENE_SCHEMA.empty_table())
    assert (none.days, none.unnumbered, none.bbox) == (frozenset(), {}, root.bbox)


@pytest.mark.parametrize(
    "change",
    [
        {"fuse-archive:state": None},
        {"fuse-archive:state": {"mark": {"generation": -1, "number": 0}}},
        {"fuse-archive:state": {"mark": {}, "bbox": [0, 0, float("nan"), 0]}},
        {"fuse-archive:state": {"mark": {}, "bbox": [0, 0, 1e9, 0]}},
        {"fuse-archive:state": {"mark": {}, "interval": ["0001-01-01T00:00:00+23:00"] * 2}},
        {"fuse-archive:state": {"mark": {}, "interval": ["2020-01-01T00:00:00"] * 2}},
        {"links": None},
        {"links": [{"rel": "child", "href": "./stac/date=2026-02-31/catalog.json"}]},
        {"links": [{"rel": "child", "href": 1}]},
    ],
)
def test_a_root_that_is_not_as_runs_write_it_is_none(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    output = Storage(str(tmp_path))
    made = make_root(root_of(tmp_path, scene_row("a")))
    output.write("collection.json", json.dumps({**made, **change}).encode())
    assert read_root(output, "collection") is None


@pytest.mark.parametrize("body", [b"", b"[" * 100_000, b"[]", b"\xff", b'{"links": []}'])
def test_what_is_no_root_at_all_is_none(tmp_path: Path, body: bytes) -> None:
    output = Storage(str(tmp_path))
    output.write("catalog.json", body)
    assert read_root(output, "catalog") is None


def test_links_that_lead_elsewhere_are_dropped(tmp_path: Path) -> None:
    output = Storage(str(tmp_path))
    root = root_of(tmp_path, scene_row("a"))
    made = make_root(root)
    for href in ("https://example.com/catalog.json", "./stac/date=2015-05-02/../../../etc"):
        made["links"].append({"rel": "child", "href": href})
    output.write("collection.json", json.dumps(made).encode())
    assert read_root(output, "collection") == root


def test_extents() -> None:
    assert extent([]) is None
    assert extent([JAPAN, CHILE]) == (-75, -40, 141, 36)
    assert extent([FIJI]) == FIJI
    assert extent([FIJI, ALEUTS]) == (170, -19, -170, 55)
    assert extent([FIJI, JAPAN]) == (-180, -19, 180, 36)
    assert extent([(10.0, 0.0, -170.0, 1.0), (170.0, 0.0, 0.0, 1.0)]) == (10, 0, 0, 1)
    assert extent([(10.0, 0.0, -170.0, 1.0), (170.0, 0.0, 20.0, 1.0)]) == (-180, 0, 180, 1)


BOXES = st.tuples(st.floats(-180, 180), st.floats(-90, 0), st.floats(-180, 180), st.floats(0, 90))


@given(st.lists(BOXES, min_size=1, max_size=6), st.integers(0, 6))
def test_the_extent_holds_every_box_also_bit_by_bit(boxes: list[Box], cut: int) -> None:
    first = extent(boxes[:cut])
    found = extent([*([first] if first else []), *boxes[cut:]])
    assert found is not None
    west, south, east, north = found
    for one in boxes:
        assert south <= one[1] <= one[3] <= north
        for lon in (one[0], one[2]):
            inside = west <= lon <= east if west <= east else lon >= west or lon <= east
            assert inside


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", None), ("description", None), ("license", None), ("extent", None), ("summaries", {})],
)
def test_the_validator_sees_what_is_wrong(tmp_path: Path, name: str, value: object) -> None:
    root = make_root(root_of(tmp_path, scene_row("a")))
    if value is None:
        del root[name]
    else:
        root[name] = value
    with pytest.raises(pystac.STACValidationError):
        validate_dict(root)
