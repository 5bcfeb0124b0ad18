"""The validator that the tests of STAC items rely on sees what is wrong, and asks no network."""

from collections.abc import Callable
from typing import Any

import pystac
import pytest
from pystac.validation import GetSchemaError, validate_dict
from stac_facts import CORE, EXTENSIONS, FACTS
from stac_schemas import FILE, PROCESSING, PROJECTION, RASTER, go_offline

from fusion_core.scenes.stac_item import make_item


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    go_offline(monkeypatch)


def without(*path: str) -> Callable[[dict[str, Any]], None]:
    def remove(item: dict[str, Any]) -> None:
        for step in path[:-1]:
            item = item[step]
        del item[path[-1]]

    return remove


def setting(value: object, *path: str) -> Callable[[dict[str, Any]], None]:
    def put(item: dict[str, Any]) -> None:
        for step in path[:-1]:
            item = item[step]
        item[path[-1]] = value

    return put


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (without("properties", "datetime"), CORE),
        (without("bbox"), CORE),
        (setting(None, "geometry"), CORE),
        (setting("float33", "assets", "fused", "data_type"), CORE),
        (setting("NaN", "assets", "fused", "nodata"), CORE),
        (setting("2015-05-02T01:35:00+09:00", "properties", "datetime"), CORE),
        (setting("fused", "collection"), CORE),
        (setting(32654, "properties", "proj:code"), PROJECTION),
        (setting([7000], "properties", "proj:shape"), PROJECTION),
        (setting([1, 2, 3], "properties", "proj:transform"), PROJECTION),
        (setting(32654, "properties", "proj:epsg"), PROJECTION),
        (setting("ab" * 32, "assets", "fused", "file:checksum"), FILE),
        (setting(-1, "assets", "quicklook", "file:size"), FILE),
        (setting({"fuse-archive": 1}, "properties", "processing:software"), PROCESSING),
        (setting("yesterday", "properties", "processing:datetime"), PROCESSING),
        (setting("line", "assets", "fused", "raster:sampling"), RASTER),
        (setting([{"raster:scale": "2"}], "assets", "fused", "bands"), RASTER),
        (setting([], "assets", "fused", "raster:bands"), RASTER),
    ],
)
def test_the_validator_sees_what_is_wrong(
    spoil: Callable[[dict[str, Any]], None], where: str
) -> None:
    item = make_item(FACTS)
    spoil(item)
    with pytest.raises(pystac.STACValidationError, match=f"against schema at {where}"):
        validate_dict(item)


@pytest.mark.parametrize("uri", sorted(EXTENSIONS))
def test_an_extension_that_is_declared_must_be_used(uri: str) -> None:
    item = make_item(FACTS)
    prefix = f"{uri.split('/')[3]}:".replace("projection", "proj")
    parts = [item["properties"], *item["assets"].values()]
    for part in parts:
        for name in [name for name in part if name.startswith(prefix)]:
            del part[name]
    with pytest.raises(pystac.STACValidationError, match=f"against schema at {uri}"):
        validate_dict(item)


def test_unknown_schemas_are_not_fetched(caplog: pytest.LogCaptureFixture) -> None:
    item = make_item(FACTS)
    item["stac_extensions"].append("https://stac-extensions.github.io/eo/v2.0.0/schema.json")
    with pytest.raises(AssertionError, match="would be fetched"):
        validate_dict(item)


def test_the_network_is_out_of_reach(caplog: pytest.LogCaptureFixture) -> None:
    pystac.validation.set_validator(pystac.validation.JsonSchemaSTACValidator())
    with pytest.raises((GetSchemaError, AssertionError)):
        validate_dict(make_item(FACTS))
