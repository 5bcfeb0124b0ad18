"""What was fused again since goes if asked for: rows, then images; kept rows lose nothing."""

import datetime as dt
import itertools
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from blind_publisher import StillHeart, begin, end
from fused_again import GONE, KEPT, PART_OF_BEFORE, make
from mortal_storage import Killed, Mortal
from tiny import TODAY, pair_refs

from fusion_core.archive import lease as lease_module
from fusion_core.archive.index.key_index import open_index
from fusion_core.archive.index.rebuild import Differences, differences
from fusion_core.archive.keeping.check import check
from fusion_core.archive.keeping.clean import CleanPlan, clean, plan_clean
from fusion_core.archive.keeping.superseded import (
    SUPERSEDED_JOURNAL,
    finish_superseded,
    superseding_since,
    take_superseded_out,
)
from fusion_core.archive.layout import part_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import make_plan
from fusion_core.archive.publications import publications
from fusion_core.archive.stored_images import IMAGE_COLUMNS, image_path
from fusion_core.errors import LeaseLostError, ManifestError
from fusion_core.storage.store import Storage

WHERE = ("pair_id", "attempt", "status", "run_id")
LATER = dt.datetime.now(dt.UTC) + dt.timedelta(days=40)
pytestmark = pytest.mark.usefixtures("still")


@pytest.fixture(scope="session")
def fused_again(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fused_again")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease_module, "Heart", StillHeart)
        make(folder)
    return folder


@pytest.fixture
def output(fused_again: Path, tmp_path: Path) -> Storage:
    return copy_of(fused_again, tmp_path)


def copy_of(folder: Path, tmp_path: Path) -> Storage:
    shutil.rmtree(tmp_path / "copy", ignore_errors=True)
    shutil.copytree(folder, tmp_path / "copy")
    return Storage(str(tmp_path / "copy" / "output"))


def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def no_catalogs(_: Storage) -> None:
    """As in an output without scenes."""


def planned(output: Storage, tmp_path: Path, *kinds: str, **options: Any) -> CleanPlan:
    return plan_clean(output, scratch(tmp_path), kinds=kinds, **{"now": LATER, **options})


def cleaned(output: Storage, tmp_path: Path, *kinds: str) -> CleanPlan:
    """Clean as the command line does."""
    folder, publisher = scratch(tmp_path), begin(output, "clean")
    lease = publisher.lease
    finish_superseded(output, folder, lease, no_catalogs)
    plan = plan_clean(output, folder, kinds=kinds, now=LATER, settled=lease.generation - 1)
    take_superseded_out(output, plan, folder, lease, no_catalogs)
    clean(output, plan, lease.confirm)
    end(publisher)
    return plan


def rows(output: Storage) -> list[dict[str, Any]]:
    return read_manifest(output.url("manifest"), latest=False).to_pylist()


def told(rows: Sequence[dict[str, Any]], *names: str) -> set[tuple[Any, ...]]:
    return {tuple(row[name] for name in names or WHERE) for row in rows}


def paths(output: Storage, prefix: str = "") -> set[str]:
    return set(output.list(prefix)["path"].to_pylist())


def of_row(output: Storage, *row: Any) -> str:
    found = next(one for one in rows(output) if told([one]) == {row})
    path = image_path({name: found[name] for name in IMAGE_COLUMNS})
    assert path is not None
    return path


def going_images(output: Storage) -> set[str]:
    """Images of what goes: the first one of a, with what lies beside it, and that of b."""
    old, b = of_row(output, "a", 1, "ok", "0a"), of_row(output, "b", 1, "ok", "0a")
    stem = old.removesuffix(".png")
    before = of_row(output, "a", None, "ok", "before")
    return {old, b, before, f"{stem}.quicklook.png", f"{stem}.json"}


def is_sound(output: Storage, tmp_path: Path) -> bool:
    findings = check(output, scratch(tmp_path), deep=True, tell=lambda _: None)
    assert findings == []
    return differences(output, "manifest", scratch(tmp_path)) == Differences(0, 0)


def test_it_is_looked_at_only_where_it_is_named(output: Storage, tmp_path: Path) -> None:
    before = paths(output, "fused/")
    assert len(planned(output, tmp_path).superseded) == 0
    cleaned(output, tmp_path)
    assert paths(output, "fused/") == before
    assert told(rows(output)) == GONE | KEPT


def test_a_plan_tells_objects_and_rows_and_removes_nothing(output: Storage, tmp_path: Path) -> None:
    before = paths(output)
    plan = planned(output, tmp_path, "superseded")
    going = going_images(output)
    assert set(plan.objects.read()["path"].to_pylist()) == going
    assert [(one.kind, one.count) for one in plan.removals] == [("superseded", len(going))]
    found = plan.superseded.read().to_pylist()
    assert told(found, "pair_id", "attempt", "run_id") == {(p, n, r) for p, n, _, r in GONE}
    assert {row["method"] for row in found} == {"refinefuse"}
    assert [row["file"] for row in found] == sorted(row["file"] for row in found)
    assert paths(output) == before


def test_rows_and_images_go_together_and_kept_ones_stay_as_they_are(
    output: Storage, tmp_path: Path
) -> None:
    before = rows(output)
    images, going = paths(output, "fused/"), going_images(output)
    newest = read_manifest(output.url("manifest")).to_pylist()
    cleaned(output, tmp_path, "superseded")
    kept = [row for row in before if told([row]) <= KEPT]
    assert sorted(rows(output), key=str) == sorted(kept, key=str)
    assert read_manifest(output.url("manifest")).to_pylist() == newest
    assert paths(output, "fused/") == images - going
    assert is_sound(output, tmp_path)
    assert not output.exists(SUPERSEDED_JOURNAL)
    again = planned(output, tmp_path, "superseded")
    assert (again.removals, len(again.superseded)) == ((), 0)


def test_an_image_that_a_kept_row_names_too_stays_without_the_superseded_row(
    output: Storage, tmp_path: Path
) -> None:
    image = of_row(output, "c/d", 1, "ok", "0a")
    assert image == of_row(output, "c/d", 2, "ok", "0b")
    cleaned(output, tmp_path, "superseded")
    assert output.exists(image)
    assert not told(rows(output)) & GONE


def test_records_say_how_many_rows_are_left(output: Storage, tmp_path: Path) -> None:
    cleaned(output, tmp_path, "superseded")
    counts = [[record.rows for _, record in publications(output, number)] for number in (1, 2, 3)]
    assert counts == [[1], [3], [1]]


def test_a_row_of_a_schema_without_attempts_goes_from_its_part(
    output: Storage, tmp_path: Path
) -> None:
    cleaned(output, tmp_path, "superseded")
    assert len(read_part(output, PART_OF_BEFORE)) == 0


def test_it_stays_until_what_came_after_it_is_old(output: Storage, tmp_path: Path) -> None:
    def count(**options: Any) -> int:
        return len(planned(output, tmp_path, "superseded", **options).superseded)

    now = dt.datetime.now(dt.UTC)
    assert count(now=now + dt.timedelta(days=29)) == 0
    assert count(now=now, days=0) == len(GONE)
    second = min(row["ended"] for row in rows(output) if row["attempt"] == 2)
    assert count(now=second, days=0) == 1  # that of before, for the first attempt came after it


def test_the_same_row_in_two_files_is_no_later_one_than_itself(
    output: Storage, tmp_path: Path
) -> None:
    (file,) = paths(output, f"manifest/date={TODAY}/")
    output.write(file.replace("-0001.", "-0002."), output.read(file))
    found = planned(output, tmp_path, "superseded").superseded.read().to_pylist()
    assert told(found, "pair_id", "attempt", "run_id") == {(p, n, r) for p, n, _, r in GONE}


def test_another_methods_rows_supersede_nothing(output: Storage, tmp_path: Path) -> None:
    table = read_part(output, part_path(TODAY, "0c"))
    row = table.to_pylist()[0] | {"pair_id": "e", "method": "other"}
    path = Path(output.fs_path("manifest/date=2026-01-02/part-0f.parquet"))
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist([row], schema=table.schema), path)
    found = planned(output, tmp_path, "superseded").superseded.read().to_pylist()
    assert "e" not in {row["pair_id"] for row in found}


def test_the_next_plan_finds_the_newest_done_and_makes_anew_only_what_is_asked_for_again(
    output: Storage, tmp_path: Path
) -> None:
    cleaned(output, tmp_path, "superseded")
    source = str(tmp_path / "copy" / "source")
    refs = [asdict(ref) for ref in pair_refs(source, ["a", "b", "c/d", "e"])]
    pairs = pa.Table.from_pylist(refs, schema=PAIRS_SCHEMA)
    found = open_index(output, "manifest", scratch(tmp_path)).rows_of(
        pairs["pair_id"].combine_chunks()
    )
    hashes = {row["run_id"]: row["settings_hash"] for row in rows(output)}
    for run, todo, failed in (("0b", ["b"], 1), ("0c", ["a", "c/d", "e"], 0)):
        own = found.filter(pc.equal(found["settings_hash"], hashes[run]))
        plan = make_plan(Pairing(pairs, (), (), ()), own)
        assert plan.first_ids(9) == tuple(todo)
        assert (plan.done, plan.known_failed) == (4 - len(todo) - failed, failed)


def test_catalogues_are_written_anew_before_images_go(output: Storage, tmp_path: Path) -> None:
    going, publisher = going_images(output), begin(output, "clean")
    plan = planned(output, tmp_path, "superseded")
    seen: list[set[tuple[Any, ...]]] = []

    def rewrite(output: Storage) -> None:
        assert going <= paths(output)
        assert output.exists(SUPERSEDED_JOURNAL)
        seen.append(told(rows(output)))

    take_superseded_out(output, plan, tmp_path / "scratch", publisher.lease, rewrite)
    assert seen == [KEPT]
    end(publisher)


def test_who_lost_the_lease_takes_no_row_out(output: Storage, tmp_path: Path) -> None:
    publisher = begin(output, "clean")
    plan = planned(output, tmp_path, "superseded")
    begin(output, "next")
    publisher.lease._heart.lost_to = "next"
    with pytest.raises(LeaseLostError):
        take_superseded_out(output, plan, tmp_path / "scratch", publisher.lease, no_catalogs)
    assert told(rows(output)) == GONE | KEPT


def test_what_was_begun_goes_on_with_its_own_time(output: Storage, tmp_path: Path) -> None:
    second = min(row["ended"] for row in rows(output) if row["attempt"] == 2)
    output.write(SUPERSEDED_JOURNAL, json.dumps({"before": second.isoformat()}).encode())
    cleaned(output, tmp_path, "temporaries")
    assert GONE - told(rows(output)) == {("a", None, "ok", "before")}
    assert not output.exists(SUPERSEDED_JOURNAL)
    assert is_sound(output, tmp_path)


def test_a_journal_of_another_make_is_named(output: Storage) -> None:
    output.write(SUPERSEDED_JOURNAL, b'{"before": "2026-01-01T00:00:00"}')
    with pytest.raises(ManifestError, match="Expected the time before which"):
        superseding_since(output)


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_it_is_finished_by_whoever_cleans_next(
    *, after: bool, fused_again: Path, tmp_path: Path
) -> None:
    for at in itertools.count(0, 7):
        output = copy_of(fused_again, tmp_path)
        going, images = going_images(output), paths(output, "fused/")
        newest = read_manifest(output.url("manifest")).to_pylist()
        mortal = Mortal(output.url(""), at, after=after)
        try:
            cleaned(mortal, tmp_path, "superseded")
        except Killed:
            assert read_manifest(output.url("manifest")).to_pylist() == newest
            findings = check(output, scratch(tmp_path), deep=True, tell=lambda _: None)
            allowed = {"image of no row", "rows not in the file"}
            assert {one.kind for one in findings} <= allowed
            begun = superseding_since(output) is not None
            cleaned(output, tmp_path)
            assert is_sound(output, tmp_path)
            assert told(rows(output)) in ([KEPT] if begun else [KEPT, KEPT | GONE])
            cleaned(output, tmp_path, "superseded")
            assert told(rows(output)) == KEPT
            assert paths(output, "fused/") == images - going
            assert not output.exists(SUPERSEDED_JOURNAL)
            assert is_sound(output, tmp_path)
        else:
            assert not mortal.dead
            break
