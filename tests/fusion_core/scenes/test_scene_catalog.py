"""What a catalogue and a sheet make of an output that somebody else has written to."""

import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pystac
import pytest
from catalogued_scenes import scene_rows
from catalogues import links
from PIL import Image
from published_rows import publish
from scene_fixture import SceneFixture
from stac_geoparquet.arrow import stac_table_to_items
from stac_schemas import go_offline

from fusion_core.archive.lease_record import newest_generation
from fusion_core.archive.stored_images import stored_image
from fusion_core.reports.sheets import ShownPair, write_contact_sheet
from fusion_core.scenes.stac_catalog import write_scene_catalog
from fusion_core.scenes.stac_root import CatalogKind
from fusion_core.storage.stored_file import StoredFile


@pytest.fixture
def archive(tmp_path: Path) -> SceneFixture:
    archive = SceneFixture(tmp_path, stac="catalog")
    archive.put("a")
    return archive


def publish_rows(archive: SceneFixture, *rows: dict[str, Any]) -> None:
    generation = newest_generation(archive.output) + 1
    publish(archive.output, generation, [scene_rows(*rows)])


def plant(archive: SceneFixture, row: dict[str, Any], **changes: Any) -> None:
    """Publish a row like one of ours, as an attempt that is newer."""
    newer = {"attempt": 99, "ended": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)}
    publish_rows(archive, {**row, **newer, **changes})


def items(archive: SceneFixture, kind: CatalogKind = "collection") -> list[str]:
    assert write_scene_catalog(archive.output, kind) is not None
    days = links(archive.output, f"{kind}.json", "child")
    return [path for day in days for path in links(archive.output, day, "item")]


@pytest.mark.parametrize("kind", ["catalog", "collection"])
def test_links_lead_from_the_root_to_every_item_and_back(
    tmp_path: Path, kind: CatalogKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = SceneFixture(tmp_path, stac=kind)
    names = ("a", "b%20", "c d (1)")
    for name in names:
        archive.put(name)
    publish_rows(archive, *(archive.fuse_one(name) for name in names))
    go_offline(monkeypatch)
    url = write_scene_catalog(archive.output, kind)
    opened = pystac.Collection if kind == "collection" else pystac.Catalog
    root = opened.from_file(str(url))
    assert root.validate_all() == 3
    found = list(root.get_items(recursive=True))
    assert {item.properties["fuse-archive:pair_id"] for item in found} == {*names}
    assert {link.title for link in next(root.get_children()).get_item_links()} == {
        item.id for item in found
    }
    for item in found:
        assert item.get_collection() is (root if kind == "collection" else None)
        for asset in item.get_assets().values():
            assert Path(str(asset.get_absolute_href())).is_file()
        alone = pystac.Item.from_file(item.get_self_href())
        parent, top = alone.get_parent(), alone.get_root()
        assert parent is not None
        assert top is not None
        assert (parent.id, top.id) == (item.get_parent().id, root.id)  # type: ignore[union-attr]


def test_the_table_tells_of_an_item_what_the_item_does(archive: SceneFixture) -> None:
    publish_rows(archive, archive.fuse_one("a"))
    (path,) = items(archive, "catalog")
    item = json.loads(archive.output.read(path))
    day = links(archive.output, "catalog.json", "child")[0]
    (table,) = links(archive.output, day, "items")
    rows = pq.read_table(archive.output.fs_path(table), partitioning=None)
    (found,) = stac_table_to_items(rows)
    own = found["properties"]
    left_out = {name for name in own if name not in item["properties"]}
    assert left_out == {
        f"fuse-archive:{name}"
        for name in ("acquired", "attempt", "device", "ended", "engine", "fused_format")
    } | {"fuse-archive:ir_version", "fuse-archive:precision", "fuse-archive:vi_version"}
    text = {name: item["properties"][name] for name in own if name not in left_out}
    moments = ("datetime", "created")
    assert {name: text[name] for name in text if name not in moments} == {
        name: own[name] for name in text if name not in moments
    }
    assert found["id"] == item["id"]
    assert found["bbox"] == item["bbox"]
    assert {key: asset["href"].rpartition("/")[2] for key, asset in found["assets"].items()} == {
        key: asset["href"].removeprefix("./") for key, asset in item["assets"].items()
    }


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.json", "/etc/../x.json", "<script>"])
def test_items_are_where_the_rows_pair_says_and_not_where_their_urls_do(
    archive: SceneFixture, url: str
) -> None:
    row = archive.fuse_one("a")
    publish_rows(archive, row)
    (ours,) = items(archive)
    assert Path(archive.output.root, ours).samefile(row["item_url"])
    plant(archive, row, item_url=url, fused_url=url)
    assert items(archive) == [ours]


def test_rows_of_no_image_of_ours_have_no_entry(archive: SceneFixture) -> None:
    row = archive.fuse_one("a")
    publish_rows(archive, row)
    ours = items(archive)
    for number, change in enumerate(
        ({"settings_hash": "../../../etc"}, {"fused_format": "x"}, {"fused_sha256": "/etc"})
    ):
        plant(archive, row, pair_id=f"planted{number}", **change)
    assert items(archive) == ours


@pytest.mark.parametrize("west", [float("nan"), float("inf"), 1e9])
def test_a_footprint_that_is_not_on_earth_is_none(archive: SceneFixture, west: float) -> None:
    plant(archive, archive.fuse_one("a"), west=west, outline=None)
    assert len(items(archive)) == 1
    extent = json.loads(archive.output.read("collection.json"))["extent"]
    assert extent["spatial"]["bbox"] == [[-180, -90, 180, 90]]


@pytest.mark.parametrize("what", ["garbage", "another table", "another path", "nothing"])
def test_a_table_that_no_run_wrote_is_written_anew_from_the_manifest(
    archive: SceneFixture, what: str
) -> None:
    row = archive.fuse_one("a")
    publish_rows(archive, row)
    (ours,) = items(archive)
    table = links(archive.output, links(archive.output, "collection.json", "child")[0], "items")[0]
    body = archive.output.read(table)
    planted = {
        "garbage": b"PAR1" * 9,
        "another table": as_parquet(pa.table({"x": [1]})),
        "another path": as_parquet(elsewhere(pq.read_table(io.BytesIO(body)))),
        "nothing": as_parquet(pq.read_table(io.BytesIO(body)).slice(0, 0)),
    }
    archive.output.write(table, planted[what])
    plant(archive, row, pair_id="b")
    found = items(archive)
    if what == "nothing":  # a table as runs write it: who can write it can remove what he likes
        assert len(found) == 1
    else:
        assert ours in found
        assert len(found) == 2
    assert all(path.startswith("fused/") for path in found)


def as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def elsewhere(items: pa.Table) -> pa.Table:
    assets = items["assets"].to_pylist()
    for one in assets:
        one["fused"]["href"] = "../../../../etc/passwd.tif"
    place = items.schema.get_field_index("assets")
    field = items.schema.field(place)
    return items.set_column(place, field, pa.array(assets, field.type))


def test_a_scene_that_was_replaced_is_words_on_the_sheet(archive: SceneFixture) -> None:
    row = archive.fuse_one("a")
    image = stored_image(archive.output, row)
    assert image is not None
    sides = [StoredFile(archive.source, f"{side}/a.tif") for side in ("ir", "vi")]
    pair = ShownPair("a", *sides, {"fused": image})

    def sheet() -> np.ndarray:
        url = write_contact_sheet(archive.output, "sheet.png", [pair], "")
        return np.asarray(Image.open(url)).astype(int)

    shown = sheet()
    body = bytearray(archive.output.read(image.path))
    body[len(body) // 2] ^= 1
    archive.output.write(image.path, bytes(body))
    replaced = sheet()
    # Words take a small part of their cells; pictures take all of them.
    assert (np.abs(shown - (48, 50, 54)).sum(axis=2) > 9).mean() > 0.5
    cells = replaced[110:280, 20 : 20 + 3 * 240]
    assert (np.abs(cells - (48, 50, 54)).sum(axis=2) < 9).mean() > 0.6
