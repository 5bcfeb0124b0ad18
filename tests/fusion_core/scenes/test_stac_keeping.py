"""A catalogue is written whole anew from the rows that are left, or goes with the last of them."""

from pathlib import Path

import pytest
from catalogued_scenes import scene_row, scene_rows
from catalogues import shown
from published_rows import publish

from fusion_core.archive.keeping.forget import forget_rows
from fusion_core.archive.keeping.inventory import take_inventory
from fusion_core.scenes.stac_catalog import write_scene_catalog
from fusion_core.scenes.stac_keeping import catalogs_from, rewrite_catalogs, unreadable_roots
from fusion_core.scenes.stac_root import read_root
from fusion_core.storage.store import Storage


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    output = Storage(str(tmp_path / "output"))
    publish(output, 1, [scene_rows(scene_row("a", west=-20.0, east=-18.0), scene_row("b"))])
    write_scene_catalog(output, "collection")
    return output


def without(output: Storage, tmp_path: Path, *pair_ids: str) -> None:
    forget_rows(output, take_inventory(output, tmp_path), pair_ids, lambda: None)
    rewrite_catalogs(output)


def test_neither_items_nor_extent_tell_of_a_row_that_is_gone(
    output: Storage, tmp_path: Path
) -> None:
    before = read_root(output, "collection")
    assert before is not None
    assert before.bbox == (-20.0, 34.0, 141.0, 36.0)
    without(output, tmp_path, "a")
    after = read_root(output, "collection")
    assert after is not None
    assert after.bbox == (138.0, 34.0, 141.0, 36.0)
    assert shown(output) == {"2015-05-02": ["b"]}


def test_without_any_scene_the_root_goes(output: Storage, tmp_path: Path) -> None:
    without(output, tmp_path, "a", "b")
    assert not output.exists("collection.json")
    assert write_scene_catalog(output, "collection") is None


def test_an_output_without_a_catalogue_gets_none(tmp_path: Path) -> None:
    output = Storage(str(tmp_path / "output"))
    rewrite_catalogs(output)
    assert output.list()["path"].to_pylist() == []
    assert catalogs_from(output) is None


def test_a_root_that_cannot_be_read_is_told_and_left(output: Storage) -> None:
    assert (unreadable_roots(output), catalogs_from(output)) == ([], 1)
    output.write("catalog.json", b"{}")
    assert unreadable_roots(output) == ["catalog.json"]
    rewrite_catalogs(output)
    assert output.read("catalog.json") == b"{}"
