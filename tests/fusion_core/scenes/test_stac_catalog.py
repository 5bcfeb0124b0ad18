import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

import pystac
import pytest
from catalogued_scenes import FUSED, TAKEN, scene_row, scene_rows
from catalogues import FailingStorage, files, links, shown
from published_rows import lay_part_of_before, publish

from fusion_core.archive.lease_record import LeaseRecord, write_record
from fusion_core.errors import StorageError
from fusion_core.scenes import stac_whole
from fusion_core.scenes.stac_catalog import write_scene_catalog
from fusion_core.scenes.stac_root import CatalogKind
from fusion_core.storage.store import Storage

DAY, LATER = dt.timedelta(days=1), TAKEN + dt.timedelta(days=30)
TODAY = FUSED.date().isoformat()


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "output"))


def night(
    output: Storage, generation: int, *rows: dict[str, Any], kind: CatalogKind = "collection"
) -> FailingStorage:
    """Publish a run's rows, catalogue them, and return the storage that did."""
    publish(output, generation, [scene_rows(*rows)] if rows else [])
    counted = FailingStorage(output.url(""))
    write_scene_catalog(counted, kind)
    return counted


def test_scenes_are_listed_under_the_day_of_their_datetime(output: Storage) -> None:
    evening = dt.datetime(2015, 5, 2, 23, 59, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    night(
        output, 1, scene_row("a"), scene_row("b", acquired=evening), scene_row("c", acquired=None)
    )
    assert shown(output) == {"2015-05-02": ["a"], "2015-05-03": ["b"], TODAY: ["c"]}


def test_only_ok_rows_with_an_item_are_listed(output: Storage) -> None:
    night(
        output,
        1,
        scene_row("a"),
        scene_row("b", status="failed"),
        scene_row("c", item_url=None),
        scene_row("d", settings_hash="../../etc"),
    )
    assert shown(output) == {"2015-05-02": ["a"]}


def test_a_night_writes_the_days_that_it_touched_and_the_root(output: Storage) -> None:
    old = [scene_row(f"old{k}", acquired=TAKEN + k * DAY) for k in range(5)]
    night(output, 1, *old)
    before = files(output)
    late = scene_row("late", acquired=TAKEN + DAY)
    counted = night(output, 2, scene_row("new", acquired=LATER), late)
    touched = [
        f"stac/date=2015-{day}/{name}"
        for day in ("05-03", "06-01")
        for name in ("catalog.json", "items.parquet")
    ]
    assert counted.written == [*touched, "collection.json"]
    assert not [
        path for path in counted.seen if path.startswith("manifest/") and "00000001" in path
    ]
    after = files(output)
    assert all(after[path] == before[path] for path in before if path not in counted.written)
    assert shown(output)["2015-05-03"] == ["late", "old1"]


def test_a_run_that_published_nothing_changes_nothing(output: Storage) -> None:
    night(output, 1, scene_row("a"))
    before = shown(output)
    counted = night(output, 2)
    assert counted.written == ["collection.json"]
    assert shown(output) == before


def test_a_scene_that_is_fused_anew_is_listed_once_as_the_newest(output: Storage) -> None:
    night(output, 1, scene_row("a"), scene_row("b"))
    (before,) = [
        path for path in links(output, "stac/date=2015-05-02/catalog.json", "item") if "/a." in path
    ]
    night(output, 2, scene_row("a", attempt=2, settings_hash="0ther"))
    assert shown(output) == {"2015-05-02": ["a", "b"]}
    items = links(output, "stac/date=2015-05-02/catalog.json", "item")
    assert before not in items
    assert [path.split("/")[1] for path in items] == ["0ther", "5e77"]


def test_other_methods_have_scenes_of_their_own(output: Storage) -> None:
    rows = [
        scene_row("a", method=name, model_hash=name, attempt=k) for k, name in enumerate("xy", 1)
    ]
    publish(output, 1, [scene_rows(*rows)])
    write_scene_catalog(output, "catalog")
    assert len(links(output, "stac/date=2015-05-02/catalog.json", "item")) == 2


@pytest.mark.parametrize("acquired", [None, LATER])
def test_a_scene_that_moves_to_another_day_leaves_the_one_of_before(
    output: Storage, acquired: dt.datetime | None
) -> None:
    before, day = FUSED - 3 * DAY, acquired.date().isoformat() if acquired else TODAY
    night(output, 1, scene_row("a", acquired=None, started=before), scene_row("b"))
    counted = night(output, 2, scene_row("a", attempt=2, acquired=acquired))
    assert shown(output) == dict(sorted({"2015-05-02": ["b"], day: ["a"]}.items()))
    emptied = f"stac/date={before.date()}/items.parquet"
    assert counted.written.index(emptied) < counted.written.index(f"stac/date={day}/items.parquet")


@pytest.mark.parametrize("acquired", [None, LATER])
def test_so_does_one_of_a_version_that_numbered_nothing(
    output: Storage, acquired: dt.datetime | None
) -> None:
    before, day = FUSED - 3 * DAY, acquired.date().isoformat() if acquired else TODAY
    lay_part_of_before(output, "0", [scene_row("a", acquired=None, started=before, attempt=None)])
    night(output, 1)
    assert shown(output) == {before.date().isoformat(): ["a"]}
    counted = night(output, 2, scene_row("b"))
    old = f"stac/date={before.date()}/items.parquet"
    assert old not in counted.seen, "its pair ids end before b"
    night(output, 3, scene_row("a", acquired=acquired))
    assert shown(output) == dict(sorted({"2015-05-02": ["b"], day: ["a"]}.items()))
    assert old not in night(output, 4, scene_row("a2", acquired=LATER + DAY)).seen


def test_a_scene_that_failed_before_is_sought_nowhere(output: Storage) -> None:
    night(output, 1, scene_row("a"))
    once = scene_row("b", attempt=2, history="memory at fuse on host; ok", acquired=LATER)
    counted = night(output, 2, once)
    old = "stac/date=2015-05-02/items.parquet"
    assert old not in counted.seen
    again = scene_row("c", attempt=3, history="memory at fuse on host; ok", acquired=LATER)
    assert old in night(output, 3, again).seen


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Storage, dict[str, bytes]]:
    """An output with changes to catalogue, and its catalogue with them."""
    folder = tmp_path_factory.mktemp("changed")
    output = Storage(str(folder / "output"))
    undated = scene_row("c", acquired=None, started=FUSED - DAY)
    night(output, 1, scene_row("a"), scene_row("b"), undated)
    rows = [scene_row("c", acquired=None, attempt=2), scene_row("d", acquired=LATER)]
    publish(output, 2, [scene_rows(*rows, scene_row("a", attempt=2))])
    shutil.copytree(output.root, folder / "whole")
    whole = Storage(str(folder / "whole"))
    write_scene_catalog(whole, "collection")
    assert shown(whole) == {"2015-05-02": ["a", "b"], "2015-06-01": ["d"], TODAY: ["c"]}
    return output, files(whole)


@pytest.mark.parametrize("writes", range(10))
def test_a_run_that_is_killed_leaves_a_catalogue_that_the_next_one_mends(
    tmp_path: Path, changed: tuple[Storage, dict[str, bytes]], writes: int
) -> None:
    """It writes the day that a scene leaves, the root without it, three days, and the root."""
    output = Storage(str(tmp_path / "killed"))
    shutil.copytree(changed[0].root, output.root)
    with pytest.raises(StorageError, match="killed"):
        write_scene_catalog(FailingStorage(output.url(""), writes), "collection")
    root = json.loads(output.read("collection.json"))
    assert all(output.exists(path) for path in links(output, "collection.json", "child"))
    assert root["fuse-archive:state"]["mark"] == {"generation": 1, "number": 1}
    write_scene_catalog(output, "collection")
    assert files(output) == changed[1]


@pytest.mark.parametrize("writes", [1, 2, 4, 5, 7, 11, 12, 13])
def test_an_old_output_is_carried_over_and_gone_on_with_after_a_kill(
    tmp_path: Path, writes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stac_whole, "_DAYS", 2)
    output = Storage(str(tmp_path))
    output.write("collection.json", b'{"type": "Collection", "links": []}')
    old = [scene_row(f"{k}", acquired=TAKEN + k * DAY, attempt=None) for k in range(4)]
    lay_part_of_before(output, "0", old[:2])
    publish(output, 1, [scene_rows(*old[2:])])
    with pytest.raises(StorageError, match="killed"):
        write_scene_catalog(FailingStorage(str(tmp_path), writes - 1), "collection")
    # What was written already has changed by the time that it is gone on with.
    counted = night(output, 2, scene_row("0", acquired=TAKEN + 3 * DAY))
    assert shown(output) == {"2015-05-03": ["1"], "2015-05-04": ["2"], "2015-05-05": ["0", "3"]}
    redone = "stac/date=2015-05-03/items.parquet" in counted.written
    assert redone == (writes <= 6), "two days are noted by the sixth write"


def test_a_change_of_kind_writes_all_of_it(output: Storage) -> None:
    night(output, 1, scene_row("a"))
    for generation, kind in ((2, "catalog"), (3, "collection")):
        night(output, generation, scene_row(f"{generation}", acquired=LATER), kind=kind)
        names = ["2", "3"][: generation - 1]
        assert shown(output, f"{kind}.json") == {"2015-05-02": ["a"], "2015-06-01": names}


def test_what_a_version_that_publishes_nothing_has_added_is_found(output: Storage) -> None:
    night(output, 1, scene_row("a"))
    lay_part_of_before(output, "0", [scene_row("b", acquired=LATER, attempt=None)])
    write_record(output, 2, LeaseRecord(run_id="old", host="h", token="t", seconds=1))
    night(output, 3, scene_row("c"))
    assert shown(output) == {"2015-05-02": ["a", "c"], "2015-06-01": ["b"]}


def test_without_scenes_there_is_no_catalogue_and_nothing_is_read_twice(output: Storage) -> None:
    lay_part_of_before(output, "0", [scene_row("a", item_url=None)])
    assert write_scene_catalog(output, "catalog") is None
    counted = night(output, 1, scene_row("b", item_url=None), kind="catalog")
    assert not [path for path in counted.seen if "part-" in path]
    assert not output.exists("catalog.json")
    night(output, 2, scene_row("c"), kind="catalog")
    assert shown(output, "catalog.json") == {"2015-05-02": ["c"]}


def test_many_days_open_as_one(output: Storage) -> None:
    rows = [scene_row(f"{k:03}", acquired=TAKEN + k * DAY) for k in range(20)]
    night(output, 1, *rows)
    root = pystac.Collection.from_file(output.url("collection.json"))
    assert [link.title for link in root.get_child_links()][::19] == ["2015-05-02", "2015-05-21"]
