"""Parts of older versions of the manifest's schema are read, and planned by, as they were meant."""

import datetime as dt
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
import pytest
from version_before import (
    COMPATIBILITY,
    NEW_IN_5,
    NEW_IN_6,
    NEW_IN_7,
    Left,
    planned,
    restored,
    todo,
)

from fusion_core.archive.layout import part_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import read_part
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.metrics import METRIC_NAMES
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

DAY = dt.date(2026, 11, 20)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return restored(tmp_path)


def with_older_parts(output: Path) -> str:
    """Add a part of each older schema version; return the folder."""
    for version in (1, 2, 3, 4, 5, 6):
        add_part(output, f"{version}", dt.date(2026, 11, 10 + version))
    return str(output / "manifest")


def add_part(output: Path, version: str, date: dt.date) -> None:
    target = output / part_path(date, f"schema{version}").removeprefix("commits/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(COMPATIBILITY / f"schema_versions/manifest_schema_{version}.parquet", target)


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_a_part_of_an_older_schema_version_is_read_as_one_of_this(version: int) -> None:
    storage = Storage(str(COMPATIBILITY / "schema_versions"))
    table = read_part(storage, f"manifest_schema_{version}.parquet")
    assert table.schema.equals(PART_SCHEMA)
    ok, failed = table.to_pylist()
    assert (ok["pair_id"], ok["status"], failed["pair_id"], failed["status"]) == (
        *("gate", "ok"),
        *("pier", "failed"),
    )
    assert {ok["method"], failed["method"]} == {"refinefuse"}
    assert all(ok[name] is not None for name in METRIC_NAMES)
    assert "ir/pier.png: the image is damaged" in failed["error_message"]
    assert (ok["retries"], ok["remark"], ok["metrics_undefined"]) == (
        0 if version >= 4 else None,
        None,
        None,
    )
    new = NEW_IN_7 + (NEW_IN_6 if version < 6 else []) + (NEW_IN_5 if version < 5 else [])
    assert all(row[name] is None for row in (ok, failed) for name in new)
    assert (ok["attempt"], failed["cause"]) == ((None, None) if version < 5 else (1, "pair"))


def test_parts_of_all_schema_versions_are_read_together(left: Left) -> None:
    url = with_older_parts(left.output)
    every = read_manifest(url, latest=False)
    assert len(every) == 12 + 6 * 2
    gate = every.filter(ds.field("pair_id") == "gate").to_pylist()
    dates = sorted(row["date"] for row in gate if row["method"] == "refinefuse")
    assert [date.day for date in dates] == [11, 12, 13, 14, 15, 16, 20]
    assert len(read_manifest(url)) == 12
    assert len(pd.read_parquet(url)) == 24


@pytest.mark.parametrize("version", [3, 4])
def test_what_was_done_at_an_older_schema_version_stays_done(
    tmp_path: Path, left: Left, version: int
) -> None:
    """Models and settings of the versions 1 and 2 had other hashes, so those rows are history."""
    settings = FuseArchiveSettings(**{**left.defaults(), "output": str(tmp_path / "old")})
    assert planned(settings).done == 0
    for one in range(1, version + 1):
        add_part(tmp_path / "old", f"{one}", DAY)
    plan = planned(settings)
    assert (plan.done, plan.older, plan.known_failed) == (1, 1, 0)
    assert todo(plan) == ["harbour", "lane#3", "pier", "twin", "yard"]


def test_what_failed_at_schema_version_4_is_tried_anew_whatever_was_blamed(
    tmp_path: Path, left: Left
) -> None:
    """``pier``'s file, a poisoned GPU for ``harbour``, a store for ``yard``: all of before."""
    settings = FuseArchiveSettings(**{**left.defaults(), "output": str(tmp_path / "old")})
    add_part(tmp_path / "old", "4", DAY)
    add_part(tmp_path / "old", "4_blamed", DAY)
    plan = planned(settings)
    assert (plan.done, plan.known_failed, plan.waiting) == (1, 0, 0)
    tried = {row["pair_id"]: (row["attempt"], row["tries"]) for row in plan.todo.to_pylist()}
    assert tried == dict.fromkeys(("harbour", "lane#3", "pier", "twin", "yard"), (1, 0))


@pytest.mark.parametrize("version", ["5", "6"])
def test_what_was_done_and_what_failed_since_schema_version_5_stays_so(
    tmp_path: Path, left: Left, version: str
) -> None:
    values = {**left.defaults(), "output": str(tmp_path / "old")}
    add_part(tmp_path / "old", version, DAY)
    plan = planned(FuseArchiveSettings(**values, model="refinefuse-1"))
    assert (plan.done, plan.older, plan.known_failed) == (1, 0, 1)
    assert todo(plan) == ["harbour", "lane#3", "twin", "yard"]
    by_other_weights = planned(FuseArchiveSettings(**values))
    assert (by_other_weights.done, by_other_weights.older) == (1, 1)
    assert todo(by_other_weights) == ["harbour", "lane#3", "pier", "twin", "yard"]
