import dataclasses
import datetime as dt
import itertools
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pystac.validation import validate_dict
from rasterio.crs import CRS
from stac_schemas import PROCESSING, go_offline

from fusion_core.scenes.stac_catalog import (
    CATALOG_PATHS,
    CatalogKind,
    CatalogRow,
    make_catalog,
    write_catalog,
)
from fusion_core.scenes.stac_item import (
    COG,
    PNG,
    Bands,
    Grid,
    SceneFacts,
    SourceImage,
    WrittenFile,
    make_item,
    relative_href,
)
from fusion_core.storage.store import Storage

DAY = dt.datetime(2015, 5, 2, tzinfo=dt.UTC)
KINDS: tuple[CatalogKind, ...] = get_args(CatalogKind)
JAPAN = (138.0, 34.0, 141.0, 36.0)
CHILE = (-75.0, -40.0, -70.0, -35.0)
FIJI = (177.0, -19.0, -179.0, -16.0)
ALEUTS = (170.0, 51.0, -170.0, 55.0)
NAMED = {"catalog_id": "fused", "description": "Fused scenes."}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(monkeypatch)


def row(name: str, bbox: Sequence[float] | None = JAPAN, moment: dt.datetime = DAY) -> CatalogRow:
    return CatalogRow(name, f"fused/5e77/{name}.json", bbox, moment)


def make(rows: Sequence[CatalogRow], kind: CatalogKind = "collection") -> dict[str, Any]:
    root = make_catalog(
        rows,
        kind,
        catalog_id="fused",
        description="Fused scenes.",
        title="Fused",
        software_versions=["0.2.0", "0.1.0", "0.2.0"],
    )
    json.dumps(root, allow_nan=False)
    assert validate_dict(root)
    return root


def box(*boxes: Sequence[float] | None) -> list[float]:
    rows = [row(str(k), bbox) for k, bbox in enumerate(boxes)]
    found: list[list[float]] = make(rows)["extent"]["spatial"]["bbox"]
    (extent,) = found
    return extent


def scene(name: str, kind: CatalogKind, lon: float) -> SceneFacts:
    """A scene of one degree whose files have the pair's name, percent-encoded as keys are."""
    folder = f"fused/5e77/{name}"
    item_path = f"{folder}.json"
    return SceneFacts(
        item_id=f"{name}-0123",
        pair_id=name,
        item_path=item_path,
        grid=Grid(CRS.from_epsg(4326).to_wkt(), (0.01, 0.0, lon, 0.0, -0.01, 36.0), 100, 100),
        ir=SourceImage(f"s3://archive/{name}_ir.tif", None),
        vi=SourceImage(f"s3://archive/{name}_vi.tif", None),
        fused=WrittenFile(f"{folder}.tif", sha256="ab" * 32, size=1, media_type=COG),
        quicklook=WrittenFile(
            f"{folder}.png", sha256="ab" * 32, size=1, media_type=PNG, shape=(100, 100)
        ),
        bands=Bands((None,), "uint8"),
        model="mean",
        model_hash=None,
        settings_hash="5e77",
        run_id="run",
        software_version="0.1.0",
        overlap=1.0,
        metrics={},
        metric_version="1",
        scaling="none",
        scaling_low=None,
        scaling_high=None,
        created=DAY,
        catalog_href=relative_href(CATALOG_PATHS[kind], item_path),
        collection_id="fused" if kind == "collection" else None,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_links_resolve_in_a_folder(tmp_path: Path, kind: CatalogKind) -> None:
    output = Storage(str(tmp_path))
    rows = []
    for lon, name in enumerate(("a", "night/b", "night/c%20d (1)"), start=138):
        facts = scene(name, kind, lon)
        item = make_item(facts)
        output.write(facts.item_path, json.dumps(item).encode())
        for file in (facts.fused, facts.quicklook):
            assert file is not None
            output.write(file.path, b"x")
        rows.append(CatalogRow(facts.item_id, facts.item_path, item["bbox"], DAY))
    assert write_catalog(output, rows, kind, **NAMED) == f"{kind}.json"

    opened = pystac.Collection if kind == "collection" else pystac.Catalog
    root = opened.from_file(str(tmp_path / f"{kind}.json"))
    assert root.validate_all() == 3
    for item in root.get_items():
        assert item.get_root() is root
        assert item.get_parent() is root
        assert item.get_collection() is (root if kind == "collection" else None)
        assert len(item.validate()) == 5
        for asset in item.get_assets().values():
            path = asset.get_absolute_href()
            assert path is not None
            assert Path(path).read_bytes() == b"x"

    item_file = tmp_path / "fused/5e77/night/b.json"
    alone = pystac.Item.from_file(str(item_file))
    parent = alone.get_parent()
    assert parent is not None
    assert parent.id == "fused"
    broken = json.loads(item_file.read_bytes())
    del broken["properties"]["datetime"]
    item_file.write_text(json.dumps(broken))
    with pytest.raises(pystac.STACError):
        opened.from_file(str(tmp_path / f"{kind}.json")).validate_all()


def test_catalog() -> None:
    assert make([row("a")], "catalog") == {
        "type": "Catalog",
        "stac_version": "1.1.0",
        "id": "fused",
        "title": "Fused",
        "description": "Fused scenes.",
        "links": [
            {"rel": "root", "href": "./catalog.json", "type": "application/json"},
            {
                **{"rel": "item", "href": "./fused/5e77/a.json"},
                **{"type": "application/geo+json", "title": "a"},
            },
        ],
    }


def test_collection() -> None:
    later = DAY + dt.timedelta(days=3, hours=1)
    root = make([row("a", moment=later), row("b", (140.0, 30.0, 142.0, 35.0))])
    assert root["license"] == "other"
    assert root["extent"] == {
        "spatial": {"bbox": [[138, 30, 142, 36]]},
        "temporal": {"interval": [["2015-05-02T00:00:00Z", "2015-05-05T01:00:00Z"]]},
    }
    software = [{"fuse-archive": "0.1.0"}, {"fuse-archive": "0.2.0"}]
    assert root["summaries"] == {"processing:software": software}
    assert root["stac_extensions"] == [PROCESSING]
    parsed = pystac.Collection.from_dict(root)
    assert parsed.extent.spatial.bboxes == [[138, 30, 142, 36]]


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_yet(kind: CatalogKind) -> None:
    root = make_catalog([], kind, **NAMED)
    assert validate_dict(root)
    assert [link["rel"] for link in root["links"]] == ["root"]
    assert "title" not in root
    assert "summaries" not in root
    if kind == "collection":
        assert root["extent"]["spatial"]["bbox"] == [[-180, -90, 180, 90]]
        assert root["extent"]["temporal"]["interval"] == [[None, None]]


def test_rows_are_sorted_and_the_last_of_a_path_counts() -> None:
    early = DAY - dt.timedelta(days=100)
    rows = [row("b"), row("a", CHILE, early), row("c"), row("a")]
    rows.append(dataclasses.replace(rows[0], href=f"./{rows[0].href}"))
    root = make(rows)
    links = [link["href"] for link in root["links"] if link["rel"] == "item"]
    assert links == [f"./fused/5e77/{name}.json" for name in "abc"]
    assert root["extent"]["spatial"]["bbox"] == [list(JAPAN)]
    assert root["extent"]["temporal"]["interval"][0][0] == "2015-05-02T00:00:00Z"


def test_extents() -> None:
    assert box(JAPAN, CHILE) == [-75, -40, 141, 36]
    assert box(JAPAN, None) == list(JAPAN)
    assert box(None) == [-180, -90, 180, 90]
    assert box(FIJI) == list(FIJI)
    assert box(FIJI, ALEUTS) == [170, -19, -170, 55]
    assert box(FIJI, JAPAN) == [-180, -19, 180, 36]
    assert box((10.0, 0.0, -170.0, 1.0), (170.0, 0.0, 0.0, 1.0)) == [10, 0, 0, 1]
    assert box((10.0, 0.0, -170.0, 1.0), (170.0, 0.0, 20.0, 1.0)) == [-180, 0, 180, 1]


BOXES = st.tuples(st.floats(-180, 180), st.floats(-90, 0), st.floats(-180, 180), st.floats(0, 90))


@given(st.lists(st.one_of(st.none(), BOXES), max_size=6))
def test_the_extent_holds_every_box(boxes: list[tuple[float, float, float, float] | None]) -> None:
    west, south, east, north = box(*boxes)
    for one in boxes:
        if one is None:
            continue
        assert south <= one[1] <= one[3] <= north
        for lon in (one[0], one[2]):
            inside = west <= lon <= east if west <= east else lon >= west or lon <= east
            assert inside


def test_many_items(tmp_path: Path) -> None:
    rows = [row(f"scene-{k:06d}", JAPAN, DAY + dt.timedelta(minutes=k)) for k in range(100_000)][
        ::-1
    ]
    began = time.perf_counter()
    write_catalog(Storage(str(tmp_path)), rows, "collection", **NAMED)
    assert time.perf_counter() - began < 20
    root = json.loads((tmp_path / "collection.json").read_bytes())
    links = [link["href"] for link in root["links"][1:]]
    assert len(links) == 100_000
    assert all(a < b for a, b in itertools.pairwise(links))


@pytest.mark.parametrize(
    ("name", "value"),
    [("id", None), ("description", None), ("license", None), ("extent", None), ("summaries", {})],
)
def test_the_validator_sees_what_is_wrong(name: str, value: object) -> None:
    root = make([row("a")])
    if value is None:
        del root[name]
    else:
        root[name] = value
    with pytest.raises(pystac.STACValidationError):
        validate_dict(root)
