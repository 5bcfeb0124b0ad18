"""What nobody needs goes, kind by kind; what a row, a run or the fence needs stays."""

import datetime as dt
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from archive_fixture import ArchiveFixture
from blind_publisher import begin, end
from mortal_storage import Killed, Mortal
from tiny import TODAY

from fusion_core.archive.index.state import create_state, newest_state
from fusion_core.archive.keeping import disposable
from fusion_core.archive.keeping.check import Finding, check
from fusion_core.archive.keeping.clean import CleanPlan, clean, plan_clean
from fusion_core.archive.keeping.disposable import DEFAULT_KINDS, KINDS
from fusion_core.archive.layout import part_path
from fusion_core.archive.lease_record import (
    LeaseRecord,
    record_path,
    remove_intents_before,
    write_record,
)
from fusion_core.archive.parts import commit_part
from fusion_core.errors import LeaseLostError, ManifestError, SettingsError, StorageError
from fusion_core.storage.store import Storage

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
GENERATIONS = STATES = 6
pytestmark = pytest.mark.usefixtures("still")


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GENERATIONS", "STATES"):
        monkeypatch.setattr(disposable, name, GENERATIONS)


def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def planned(output: Storage, tmp_path: Path, *kinds: str) -> set[str]:
    plan = plan_clean(output, scratch(tmp_path), kinds=kinds, now=NOW)
    return set(plan.objects.read()["path"].to_pylist())


def cleaned(output: Storage, tmp_path: Path, *kinds: str) -> CleanPlan:
    publisher = begin(output, "clean")
    settled = publisher.lease.generation - 1
    plan = plan_clean(output, scratch(tmp_path), kinds=kinds, now=NOW, settled=settled)
    clean(output, plan, publisher.lease.check)
    end(publisher)
    return plan


def findings(output: Storage, tmp_path: Path) -> list[Finding]:
    return check(output, scratch(tmp_path), deep=True, tell=lambda _: None)


def paths(output: Storage) -> set[str]:
    return set(output.list()["path"].to_pylist())


def plant_images(output: Storage) -> set[str]:
    digest = f"{5:016x}"
    names = {f"fused/0123/z.{digest}{end}" for end in (".png", ".quicklook.png", ".json")}
    names.add(f"fused/0123/.hidden.{digest}.png")
    for name in names:
        output.write(name, b"x")
    return names


def plant_runs(output: Storage) -> set[str]:
    for day in ("20260101", "20260102", "20261119"):
        for name in ("summary.json", "contact_sheet.png"):
            output.write(f"runs/{day}T020000Z-0123abcd/{name}", b"x")
    output.write("runs/mine/notes.txt", b"x")
    return {
        f"runs/{day}T020000Z-0123abcd/{name}"
        for day in ("20260101", "20260102")
        for name in ("summary.json", "contact_sheet.png")
    }


def plant_commits(output: Storage) -> set[str]:
    assert commit_part(output, part_path(TODAY, "0d"), [], closed_by="fence")
    return {part_path(TODAY, name) for name in ("0a", "0b")}


def plant_leases(output: Storage) -> set[str]:
    record = LeaseRecord(run_id="old", host="h", token="t", seconds=1, released=True, complete=True)
    number, state = newest_state(output, "manifest")
    later = state.model_copy(update={"generation": 3})
    assert create_state(output, "manifest", number + 1, later)
    remove_intents_before(output, 2)  # which take-overs do
    for number in range(2, GENERATIONS + 3):
        write_record(output, number, record.model_copy(update={"settled": number - 1}))
    return {record_path(number) for number in (1, 2)}


def plant_index(output: Storage) -> set[str]:
    number, state = newest_state(output, "manifest")
    for _ in range(STATES):
        number += 1
        assert create_state(output, "manifest", number, state)
    names = {f"commits/index/manifest/shard-{7:032x}.{end}" for end in ("parquet", "filter")}
    for name in names:
        output.write(name, b"x")
    first = range(1, number - STATES + 1)
    return names | {f"commits/index/manifest/{old:08}.json" for old in first}


def plant_temporaries(output: Storage) -> set[str]:
    for age, name in ((2, f".{1:032x}.tmp"), (0, f".{2:032x}.tmp")):
        output.write(f"manifest/{name}", b"half")
        written = NOW.timestamp() - age * 3600
        os.utime(output.fs_path(f"manifest/{name}"), (written, written))
    return {f"manifest/.{1:032x}.tmp"}


PLANT: dict[str, Callable[[Storage], set[str]]] = {
    "images": plant_images,
    "runs": plant_runs,
    "commits": plant_commits,
    "leases": plant_leases,
    "index": plant_index,
    "temporaries": plant_temporaries,
}


@pytest.mark.parametrize("kind", PLANT)
def test_what_nobody_needs_goes_and_nothing_else(
    kind: str, archive: ArchiveFixture, tmp_path: Path
) -> None:
    goes = PLANT[kind](archive.output)
    before = paths(archive.output)
    assert planned(archive.output, tmp_path, kind) == goes
    plan = cleaned(archive.output, tmp_path, kind)
    assert [(one.kind, one.count) for one in plan.removals] == [(kind, len(goes))]
    assert set(plan.removals[0].first) <= goes
    assert before - paths(archive.output) == goes
    assert planned(archive.output, tmp_path, kind) == set()
    young = {f"manifest/.{2:032x}.tmp"} if kind == "temporaries" else set()
    for path in young:
        archive.output.remove(path)
    assert findings(archive.output, tmp_path) == []


def test_all_kinds_that_are_looked_at_by_default_are_planted_here() -> None:
    assert tuple(PLANT) == DEFAULT_KINDS
    assert [*PLANT, "superseded"] == list(KINDS)


def test_a_sound_output_keeps_all_but_published_commits(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    assert planned(archive.output, tmp_path) == plant_commits(archive.output)


def test_commits_stay_while_their_generation_may_go_on(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    record = LeaseRecord(run_id="run", host="h", token="t", seconds=1, publishes=True)
    write_record(archive.output, 1, record)
    assert planned(archive.output, tmp_path, "commits") == set()


def test_young_commits_and_runs_stay(archive: ArchiveFixture, tmp_path: Path) -> None:
    plant_runs(archive.output)
    now = dt.datetime.combine(TODAY, dt.time(), dt.UTC) + dt.timedelta(days=30)
    now -= dt.timedelta(seconds=1)
    plan = plan_clean(archive.output, scratch(tmp_path), kinds=["commits"], now=now)
    assert not plan.removals


def test_with_no_days_at_all_the_commits_of_today_go_too(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    now = dt.datetime.combine(TODAY, dt.time(8), dt.UTC)
    plan = plan_clean(archive.output, scratch(tmp_path), kinds=["commits"], days=0, now=now)
    assert set(plan.objects.read()["path"].to_pylist()) == plant_commits(archive.output)


def test_records_of_the_lease_stay_where_somebody_goes_on_from_them(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    plant_leases(archive.output)
    options = {"kinds": ["leases"], "now": NOW}
    plan = plan_clean(archive.output, scratch(tmp_path), needed_from=2, **options)
    assert plan.objects.read()["path"].to_pylist() == [record_path(1)]


def test_nothing_goes_while_something_cannot_be_read(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    plant_images(archive.output)
    archive.output.write("manifest/date=2026-01-01/part-0a.parquet", b"PAR1 and no more")
    with pytest.raises(ManifestError, match="nothing is removed"):
        planned(archive.output, tmp_path)


def test_an_unknown_kind_is_refused(archive: ArchiveFixture, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"pictures.*expected some of images"):
        planned(archive.output, tmp_path, "pictures")


def test_a_missing_right_is_counted_and_named(
    archive: ArchiveFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes = plant_images(archive.output)
    refused = sorted(goes)[0]
    remove = Storage.remove
    monkeypatch.setattr(
        Storage, "remove", lambda self, path: path != refused and remove(self, path)
    )
    with pytest.raises(StorageError, match=r"1 of 4 objects could not be removed.*DeleteObject"):
        cleaned(archive.output, tmp_path, "images")
    assert paths(archive.output) & goes == {refused}


def test_who_lost_the_lease_removes_nothing(archive: ArchiveFixture, tmp_path: Path) -> None:
    goes = plant_images(archive.output)
    plan = plan_clean(archive.output, scratch(tmp_path), kinds=["images"], now=NOW)

    def lost() -> None:
        raise LeaseLostError("lost")

    with pytest.raises(LeaseLostError):
        clean(archive.output, plan, lost)
    assert goes <= paths(archive.output)


def test_who_loses_the_lease_in_the_middle_removes_nothing_more(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    names = {f"fused/0123/{number}.{number:016x}.png" for number in range(100)}
    for name in names:
        archive.output.write(name, b"x")
    plan = plan_clean(archive.output, scratch(tmp_path), kinds=["images"], now=NOW)
    asked = itertools.count(1)

    def lost() -> None:
        if next(asked) > 40:
            raise LeaseLostError("lost")

    with pytest.raises(LeaseLostError):
        clean(archive.output, plan, lost)
    assert len(names & paths(archive.output)) == 60


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_and_run_again_it_leaves_a_sound_output(
    *, after: bool, made: Path, tmp_path: Path
) -> None:
    for at in itertools.count(0, 5):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(made, tmp_path / "copy")
        output = ArchiveFixture(str(tmp_path / "copy")).output
        goes = set().union(*(PLANT[kind](output) for kind in ("images", "runs", "index")))
        goes |= plant_commits(output)
        named = set(output.list("fused/")["path"].to_pylist()) - goes
        mortal = Mortal(output.url(""), at, after=after)
        try:
            cleaned(mortal, tmp_path)
        except Killed:
            cleaned(output, tmp_path)
            assert not goes & paths(output)
            assert named <= paths(output)
            assert findings(output, tmp_path) == []
        else:
            assert not mortal.dead
            break
