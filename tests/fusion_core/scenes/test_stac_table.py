import datetime as dt
import io
from pathlib import Path
from typing import Any

import duckdb
import geopandas
import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
import stac_geoparquet.arrow
from catalogued_scenes import TAKEN, scene_row, scene_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from stac_schemas import go_offline

from fusion_core.scenes.stac_rows import CATALOG_COLUMNS, SCENE_SCHEMA, by_day, newest_scenes
from fusion_core.scenes.stac_table import read_scenes, write_items
from fusion_core.storage.scratch import scratch_folder

FIJI = {"west": 177.0, "south": -19.0, "east": -179.0, "north": -16.0}
NOWHERE = dict.fromkeys(FIJI)


def scenes_of(*rows: dict[str, Any]) -> pa.Table:
    with scratch_folder() as folder:
        found = by_day(newest_scenes([scene_rows(*rows).select(CATALOG_COLUMNS)], folder))
        return pa.concat_tables([SCENE_SCHEMA.empty_table(), *(scenes for _, scenes in found)])


def items_of(*rows: dict[str, Any], collection_id: str | None = "fuse-archive") -> pa.Table:
    return pq.read_table(io.BytesIO(write_items(scenes_of(*rows), collection_id)))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A table of a scene in Japan, one over the 180th meridian, and one without a place."""
    rows = [scene_row("a"), scene_row("b", **FIJI), scene_row("c", **NOWHERE)]
    path = tmp_path / "stac/date=2015-05-02/items.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(write_items(scenes_of(*rows), "fuse-archive"))
    return path


def test_geopandas_reads_it_with_its_places(file: Path) -> None:
    frame = geopandas.read_parquet(file)
    assert str(frame.crs) == "OGC:CRS84"
    japan, fiji, nowhere = frame.geometry
    assert japan.bounds == (138, 34, 141, 36)
    assert fiji.geom_type == "MultiPolygon"
    assert [part.bounds for part in fiji.geoms] == [(177, -19, 180, -16), (-180, -19, -179, -16)]
    assert nowhere is None
    assert frame["fuse-archive:pair_id"].tolist() == ["a", "b", "c"]
    near = geopandas.read_parquet(file, bbox=(139, 35, 140, 35.5))
    assert near["fuse-archive:pair_id"].tolist() == ["a"]


def test_duckdb_asks_it_by_place_and_date(file: Path) -> None:
    everything = f"read_parquet('{file.parents[1]}/date=*/items.parquet')"
    with duckdb.connect() as connection:
        found = connection.sql(
            f"SELECT title, date::VARCHAR FROM {everything} "
            "WHERE bbox.xmin < 140 AND bbox.xmax > 139 AND datetime < '2016-01-01'"
        ).fetchall()
        assets = connection.sql(f"SELECT assets.fused.href FROM {everything}").fetchall()
    assert found == [("a", "2015-05-02")]
    assert all((href,)[0].startswith("../../fused/5e77/") for (href,) in assets)


def test_stac_geoparquet_makes_valid_items_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(monkeypatch)
    table = items_of(scene_row("a", qabf=0.5), scene_row("b", **FIJI, quicklook_url=None))
    first, second = stac_geoparquet.arrow.stac_table_to_items(table)
    for item in (first, second):
        moments = ("fuse-archive:acquired", "fuse-archive:ended")
        item["properties"] |= {name: str(item["properties"][name]) for name in moments}
        assert len(pystac.Item.from_dict(item, preserve_dict=False).validate()) == 4
    assert first["id"].endswith("-5e77")
    assert first["bbox"] == [138, 34, 141, 36]
    assert first["collection"] == "fuse-archive"
    assert first["properties"]["datetime"] == "2015-05-02T01:35:00.000000Z"
    assert first["properties"]["fuse-archive:qabf"] == 0.5
    assert first["assets"]["fused"]["file:checksum"] == f"1220{'ab' * 32}"
    assert (set(first["assets"]), set(second["assets"])) == ({"fused", "quicklook"}, {"fused"})
    link, above = first["links"]
    assert (link["rel"], above["href"]) == ("canonical", "../../collection.json")
    assert link["href"] == first["assets"]["fused"]["href"].replace(".tif", ".json")


def test_items_of_a_catalogue_are_in_no_collection() -> None:
    assert "collection" not in items_of(scene_row("a"), collection_id=None).column_names


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=9)


@settings(max_examples=20)
@given(
    TEXTS,
    st.one_of(st.none(), st.sampled_from(["EPSG:4326", "IAU_2015:30100"])),
    st.one_of(st.none(), st.integers(1, 1 << 30)),
    st.one_of(st.none(), st.floats(0, 1)),
    st.sampled_from([NOWHERE, FIJI, {}]),
    st.one_of(
        st.none(),
        st.datetimes(dt.datetime(1900, 1, 2), dt.datetime(9998, 1, 1), timezones=st.just(dt.UTC)),
    ),
)
def test_scenes_are_read_as_they_were_written(
    pair_id: str,
    crs: str | None,
    attempt: int | None,
    score: float | None,
    place: dict[str, Any],
    acquired: dt.datetime | None,
) -> None:
    own = {"crs": crs, "attempt": attempt, "vif": score, "acquired": acquired, **place}
    scenes = scenes_of(scene_row(pair_id, **own), scene_row("other", quicklook_url=None))
    body = write_items(scenes, None)
    assert read_scenes(pq.read_table(io.BytesIO(body))).equals(scenes)
    assert write_items(read_scenes(pq.read_table(io.BytesIO(body))), None) == body


def test_no_scenes_are_read_too() -> None:
    assert read_scenes(items_of()).equals(SCENE_SCHEMA.empty_table())


def planted(items: pa.Table, name: str, value: Any) -> pa.Table:
    place = items.schema.get_field_index(name)
    column = pa.array([value] * len(items), items.schema.field(name).type)
    return items.set_column(place, items.schema.field(name), column)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fuse-archive:pair_id", "other"),
        ("fuse-archive:pair_id", None),
        ("fuse-archive:settings_hash", "../../etc"),
        ("fuse-archive:fused_format", "x"),
        ("created", dt.datetime(1, 1, 1, tzinfo=dt.UTC)),
        ("assets", {"fused": {"href": "https://example.com/a.tif", "file:checksum": "1220"}}),
        ("assets", {"fused": {"href": "../../../../etc/passwd", "file:checksum": "1220"}}),
    ],
)
def test_scenes_that_no_run_wrote_are_refused(name: str, value: Any) -> None:
    with pytest.raises((ValueError, pa.ArrowException)):
        read_scenes(planted(items_of(scene_row("a")), name, value))


@pytest.mark.parametrize("west", [float("nan"), float("inf"), 1e9, None])
def test_a_footprint_that_is_not_on_earth_is_none(west: float | None) -> None:
    items = items_of(scene_row("a", west=west))
    assert items["bbox"].to_pylist() == items["geometry"].to_pylist() == [None]
    box = {"xmin": west, "ymin": 0.0, "xmax": 1.0, "ymax": 1.0}
    nowhere = planted(planted(items_of(scene_row("a")), "geometry", None), "bbox", box)
    assert read_scenes(nowhere).select(["outline", "north"]).to_pylist() == [
        {"outline": None, "north": None}
    ]


def test_moments_are_those_of_the_visible_image_or_of_fusing() -> None:
    rows = [scene_row("a"), scene_row("b", acquired=None)]
    first, second = items_of(*rows)["datetime"].to_pylist()
    assert (first, second) == (TAKEN, rows[1]["started"])
