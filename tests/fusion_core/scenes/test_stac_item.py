import dataclasses
import datetime as dt
import json
import math
from typing import Any

import pystac
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.validation import validate_dict
from rasterio.crs import CRS
from stac_facts import (
    CORE,
    CREATED,
    EXTENSIONS,
    FACTS,
    GRID,
    INFRARED,
    LOCAL,
    SINUSOIDAL,
    UTM,
    VISIBLE,
)
from stac_schemas import go_offline

from fusion_core.scenes.acquisition import Acquisition
from fusion_core.scenes.stac_item import (
    PNG,
    Bands,
    Grid,
    SceneFacts,
    SourceImage,
    WrittenFile,
    make_item,
    relative_href,
    utc_text,
)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(monkeypatch)


def changed(**changes: Any) -> SceneFacts:
    return dataclasses.replace(FACTS, **changes)


def checked(facts: SceneFacts) -> dict[str, Any]:
    """The item, after it was found valid as it is, and without loss in JSON and in pystac."""
    item = make_item(facts)
    assert json.loads(json.dumps(item, allow_nan=False)) == item
    assert set(validate_dict(item)) == EXTENSIONS | {CORE}
    if facts.catalog_href is None:  # pystac resolves a relative root from a file only
        parsed = pystac.Item.from_dict(item)
        assert set(parsed.validate()) == EXTENSIONS | {CORE}
        assert parsed.to_dict(include_self_link=False) == item
    return item


def test_item_of_a_landsat_scene() -> None:
    item = checked(FACTS)
    assert item["id"] == FACTS.item_id
    assert item["geometry"]["type"] == "Polygon"
    west, south, east, north = item["bbox"]
    assert (west, north) == pytest.approx((138.7776086, 36.1447131), abs=1e-6)
    assert (south, east) == pytest.approx((34.5022, 141.1111571), abs=1e-3)
    properties = item["properties"]
    assert properties["proj:code"] == "EPSG:32654"
    assert "proj:wkt2" not in properties
    assert properties["proj:shape"] == [6000, 7000]
    assert properties["proj:transform"] == [30, 0, 300000, 0, -30, 4000000]
    assert properties["proj:bbox"] == [300000, 3820000, 510000, 4000000]
    assert properties["created"] == "2026-11-20T03:00:00Z"


def test_pystac_reads_the_extensions() -> None:
    item = pystac.Item.from_dict(make_item(FACTS))
    assert ProjectionExtension.ext(item).epsg == 32654
    fused, quicklook = item.assets["fused"], item.assets["quicklook"]
    assert FileExtension.ext(fused).checksum == "1220" + "ab" * 32
    assert FileExtension.ext(fused).size == 12345
    assert fused.media_type == "image/tiff; application=geotiff; profile=cloud-optimized"
    assert fused.roles == ["data"]
    assert quicklook.roles == ["thumbnail"]
    assert quicklook.media_type == "image/png"
    assert ProjectionExtension.ext(quicklook).shape == [439, 512]


def test_what_made_it() -> None:
    properties = make_item(FACTS)["properties"]
    assert properties["processing:software"] == {"fuse-archive": "0.1.0"}
    assert properties["processing:datetime"] == "2026-11-20T03:00:00Z"
    assert FACTS.model_hash in properties["processing:lineage"]
    own = {name.partition(":")[2]: value for name, value in properties.items() if "-" in name}
    assert own == {
        "pair_id": "landsat/107035",
        "run_id": "20261120T030000-abc",
        "datetime_from": "visible tags",
        "infrared_datetime": "2015-05-02T00:00:00Z",
        "visible_datetime": "2015-05-02T01:35:00Z",
        "model": "refinefuse",
        "model_hash": "ef" * 32,
        "settings_hash": "5e77",
        "overlap": 0.75,
        "scaling": "percentiles",
        "scaling_low": 6000,
        "scaling_high": 14000,
        "metric_version": "published-1",
        "vif": 0.8,
        "ag": None,
        "sf": None,
    }


def test_method_without_weights_nor_limits() -> None:
    item = checked(changed(model="mean", model_hash=None, scaling_low=None, scaling_high=None))
    assert "sha256" not in item["properties"]["processing:lineage"]
    assert item["properties"]["fuse-archive:model_hash"] is None


@pytest.mark.parametrize(
    ("vi", "ir", "moment", "origin"),
    [
        (VISIBLE, INFRARED, "2015-05-02T01:35:00Z", "visible tags"),
        (INFRARED, VISIBLE, "2015-05-02T00:00:00Z", "visible path"),
        (None, VISIBLE, "2015-05-02T01:35:00Z", "infrared tags"),
        (None, INFRARED, "2015-05-02T00:00:00Z", "infrared path"),
        (None, None, "2026-11-20T03:00:00Z", "processing"),
    ],
)
def test_datetime_says_where_it_is_from(
    vi: Acquisition | None, ir: Acquisition | None, moment: str, origin: str
) -> None:
    facts = changed(vi=SourceImage("s3://a/vi.tif", vi), ir=SourceImage("s3://a/ir.tif", ir))
    properties = checked(facts)["properties"]
    assert properties["datetime"] == moment
    assert properties["fuse-archive:datetime_from"] == origin
    assert ("fuse-archive:visible_datetime" in properties) == (vi is not None)


def test_moments_are_utc() -> None:
    japan = dt.timezone(dt.timedelta(hours=9))
    there = CREATED.astimezone(japan)
    assert utc_text(there) == "2026-11-20T03:00:00Z"
    image = SourceImage("s3://a/vi.tif", Acquisition(VISIBLE.moment.astimezone(japan), "tags"))
    assert checked(changed(created=there, vi=image)) == make_item(FACTS) | {
        "links": make_item(changed(vi=image))["links"]
    }


def test_system_without_a_code() -> None:
    grid = Grid(SINUSOIDAL, (463.0, 0.0, 1.2e7, 0.0, -463.0, 4.4e6), 240, 240)
    item = checked(changed(grid=grid))
    properties = item["properties"]
    assert properties["proj:code"] is None
    assert properties["proj:wkt2"].startswith("PROJCRS[")
    assert properties["proj:projjson"]["conversion"]["method"]["name"] == "Sinusoidal"
    assert CRS.from_wkt(properties["proj:wkt2"]) == CRS.from_wkt(SINUSOIDAL)
    assert item["geometry"]["type"] == "Polygon"


def test_a_likely_code_is_not_a_certain_one() -> None:
    shifted = UTM.replace('"false_easting",500000', '"false_easting",400000')
    assert shifted != UTM
    properties = checked(changed(grid=dataclasses.replace(GRID, crs_wkt=shifted)))["properties"]
    assert properties["proj:code"] is None
    assert "400000" in properties["proj:wkt2"]


def test_code_of_another_authority() -> None:
    grid = dataclasses.replace(GRID, crs_wkt=CRS.from_string("ESRI:54009").to_wkt())
    assert checked(changed(grid=grid))["properties"]["proj:code"] == "ESRI:54009"


def test_local_system_has_no_geometry_but_a_grid() -> None:
    item = checked(changed(grid=dataclasses.replace(GRID, crs_wkt=LOCAL)))
    assert item["geometry"] is None
    assert "bbox" not in item
    assert item["properties"]["proj:code"] is None
    assert item["properties"]["proj:wkt2"].startswith('ENGCRS["site grid"')
    assert item["properties"]["proj:transform"] == list(GRID.transform)


@pytest.mark.parametrize("text", [None, "", "nonsense"])
def test_without_a_system(text: str | None) -> None:
    item = checked(changed(grid=dataclasses.replace(GRID, crs_wkt=text)))
    assert item["geometry"] is None
    assert "bbox" not in item
    found = {name: value for name, value in item["properties"].items() if name[:5] == "proj:"}
    assert found == {"proj:code": None, "proj:shape": [6000, 7000]}


def test_over_the_180th_meridian() -> None:
    grid = Grid(CRS.from_epsg(4326).to_wkt(), (0.01, 0.0, 179.0, 0.0, -0.01, 10.0), 200, 100)
    item = checked(changed(grid=grid))
    assert item["geometry"]["type"] == "MultiPolygon"
    assert item["bbox"] == pytest.approx([179, 9, -179, 10])


def test_points_are_said_and_shift_nothing() -> None:
    area, point = (
        make_item(changed(grid=dataclasses.replace(GRID, pixel_is_point=is_point)))
        for is_point in (False, True)
    )
    assert area["assets"]["fused"].pop("raster:sampling") == "area"
    assert point["assets"]["fused"].pop("raster:sampling") == "point"
    assert area == point


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (0.0, 0),
        (-9999.0, -9999),
        (0.5, 0.5),
        (-3.4028234663852886e38, -3.4028234663852886e38),
    ],
)
def test_nodata(value: float, expected: float | str) -> None:
    item = checked(changed(bands=Bands((None,), "float32", value)))
    assert item["assets"]["fused"]["nodata"] == expected


def test_no_nodata() -> None:
    item = checked(changed(bands=Bands((None,), "float32")))
    assert "nodata" not in item["assets"]["fused"]
    assert item["assets"]["fused"]["bands"] == [{"name": "b1"}]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, name) for name in ("uint8", "int8", "uint16", "int32", "uint64", "float64")),
        *(("complex_int16", "cint16"), ("complex64", "cfloat32"), ("complex128", "cfloat64")),
        ("bool", "other"),
    ],
)
def test_data_types(name: str, expected: str) -> None:
    item = checked(changed(bands=Bands((None,), name)))
    assert item["assets"]["fused"]["data_type"] == expected


def test_scales_and_offsets_stand_where_they_are_not_one_and_zero() -> None:
    plain = Bands(("red", None), "uint16", None, (1.0, 1.0), (0.0, 0.0))
    assert checked(changed(bands=plain))["assets"]["fused"]["bands"] == [
        {"name": "b1", "description": "red"},
        {"name": "b2"},
    ]
    scaled = Bands(("red", None), "uint16", None, (2e-5, 1.0), (-0.1, 0.0))
    assert checked(changed(bands=scaled))["assets"]["fused"]["bands"] == [
        {"name": "b1", "description": "red", "raster:scale": 2e-5, "raster:offset": -0.1},
        {"name": "b2", "raster:scale": 1, "raster:offset": 0},
    ]


def test_links_and_hrefs_are_relative() -> None:
    item = checked(changed(catalog_href="../../../collection.json", collection_id="fused"))
    assert item["collection"] == "fused"
    assert [(link["rel"], link["href"]) for link in item["links"]] == [
        ("derived_from", "s3://archive/ir/107035_B10.tif"),
        ("derived_from", "s3://archive/vi/107035_B4.tif"),
        ("root", "../../../collection.json"),
        ("parent", "../../../stac/date=2015-05-02/catalog.json"),
        ("collection", "../../../collection.json"),
    ]
    assert item["assets"]["fused"]["href"] == "./107035.0123456789abcdef.tif"
    item = checked(changed(catalog_href="../../../catalog.json"))
    assert "collection" not in item
    assert {link["rel"] for link in item["links"]} == {"derived_from", "root", "parent"}


def test_no_quicklook() -> None:
    assert set(checked(changed(quicklook=None))["assets"]) == {"fused"}
    plain = WrittenFile("q.png", sha256="cd" * 32, size=678, media_type=PNG)
    picture = checked(changed(quicklook=plain))["assets"]["quicklook"]
    assert picture["href"] == "../../../q.png"
    assert picture["proj:code"] is None
    assert "proj:shape" not in picture


@pytest.mark.parametrize(
    ("path", "start", "expected"),
    [
        ("a/b.tif", "a/b.json", "./b.tif"),
        ("b.tif", "b.json", "./b.tif"),
        ("catalog.json", "a/b/c.json", "../../catalog.json"),
        ("a/b/c.json", "catalog.json", "./a/b/c.json"),
        ("a/c/x.tif", "a/b/x.json", "../c/x.tif"),
        ("..x.tif", "b.json", "./..x.tif"),
        ("a%20b (1).tif", "b.json", "./a%20b (1).tif"),
    ],
)
def test_relative_href(path: str, start: str, expected: str) -> None:
    assert relative_href(path, start) == expected


@given(
    st.floats(-1e7, 1e7),
    st.floats(-1e7, 1e7),
    st.floats(0.1, 1000),
    st.integers(1, 20000),
    st.integers(1, 20000),
    st.sampled_from([None, UTM, SINUSOIDAL, LOCAL]),
)
def test_any_grid_makes_a_valid_item(
    x: float, y: float, step: float, width: int, height: int, system: str | None
) -> None:
    grid = Grid(system, (step, 0.0, x, 0.0, -step, y), width, height)
    item = make_item(changed(grid=grid))
    json.dumps(item, allow_nan=False)
    assert (item["geometry"] is None) == ("bbox" not in item)
    validate_dict(item)
