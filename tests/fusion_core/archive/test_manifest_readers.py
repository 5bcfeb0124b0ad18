"""What others see of a manifest, above all pandas, while it is being written."""

import datetime as dt
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from s3_servers import S3Server

from fusion_core.archive.layout import part_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import commit_part
from fusion_core.archive.schema import MANIFEST_SCHEMA, PART_SCHEMA
from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage

DAY = dt.date(2026, 11, 20)
MOMENT = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
ROWS = 40
WRITERS = 4
PARTS = 12


def rows(part: str, writer: int = 0) -> list[dict[str, Any]]:
    filled = {
        field.name: {pa.string(): "x", pa.int64(): 1}.get(field.type, MOMENT)
        for field in PART_SCHEMA
        if not field.nullable
    }
    own = {"run_id": part, "host": f"{writer}", "en": 6.5, "status": "ok"}
    return [{**filled, **own, "pair_id": f"{part}-{k:03}"} for k in range(ROWS)]


def commit_all(storage: Storage, writer: int) -> int:
    """Commit the same parts as the other writers; return how many were won."""
    names = [f"{k}" for k in range(PARTS)]
    days = [DAY + dt.timedelta(days=k % 2) for k in range(PARTS)]
    pieces = zip(names, days, strict=True)
    return sum(
        commit_part(storage, part_path(day, name), rows(name, writer)) for name, day in pieces
    )


def assert_whole(frame: pd.DataFrame) -> int:
    """Every part that is seen is seen once, whole, and from one writer; return their number."""
    if not len(frame):
        return 0
    parts = frame.groupby("run_id").agg({"pair_id": ["size", "nunique"], "host": "nunique"})
    assert set(parts.itertuples(index=False, name=None)) == {(ROWS, ROWS, 1)}
    return len(parts)


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_readers_see_whole_parts_at_any_moment_while_writers_race(
    kind: str, tmp_path: Path
) -> None:
    storage = Storage(str(tmp_path) if kind == "local" else f"memory://{uuid.uuid4().hex}")
    url = storage.url("commits/manifest")
    commit_part(storage, part_path(DAY, "first"), rows("first"))
    seen = []
    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(commit_all, storage, writer) for writer in range(WRITERS)]
        running = True
        while running:
            running = not all(one.done() for one in writing)  # read once more after the end
            seen.append(assert_whole(pd.read_parquet(url)))
            seen.append(assert_whole(read_manifest(url).to_pandas()))
        won = [one.result() for one in writing]
    assert seen == sorted(seen)
    assert seen[-1] == PARTS + 1
    if kind == "local":  # fsspec's memory store looks before it writes, so two may think they won
        assert sum(won) == PARTS


def test_pandas_reads_the_folder_with_its_date_and_types(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path))
    commit_all(storage, 0)
    (tmp_path / "commits" / "manifest" / "date=2026-11-20" / ".left-by-a-kill.tmp").write_bytes(
        b"PAR1"
    )
    frame = pd.read_parquet(tmp_path / "commits" / "manifest")
    assert {*frame.columns} == {*MANIFEST_SCHEMA.names}
    assert len(frame) == PARTS * ROWS
    assert {str(date) for date in frame["date"]} == {"2026-11-20", "2026-11-21"}
    assert frame["ended"].dt.tz is not None
    assert frame["en"].mean() == 6.5
    day = pd.read_parquet(tmp_path / "commits" / "manifest", filters=[("date", "=", "2026-11-20")])
    assert len(day) == PARTS // 2 * ROWS


@pytest.mark.s3
def test_pandas_reads_a_manifest_on_s3(s3: S3Server, s3_bucket: str) -> None:
    storage = Storage(f"s3://{s3_bucket}/out")
    assert storage.check_exclusive("runs")
    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(lambda writer: commit_all(storage, writer), range(2)))
    assert sum(won) == PARTS
    url = f"s3://{s3_bucket}/out/commits/manifest"
    by_environment = pd.read_parquet(url)
    assert assert_whole(by_environment) == PARTS
    assert {*by_environment.columns} == {*MANIFEST_SCHEMA.names}
    by_options = pd.read_parquet(url, storage_options=s3.storage_options())
    assert assert_whole(by_options) == PARTS
    ours = read_manifest(url, storage_options=s3.storage_options())
    assert assert_whole(ours.to_pandas()) == PARTS
    assert ours["date"].unique().to_pylist() == [DAY, DAY + dt.timedelta(days=1)]


@pytest.mark.s3
def test_a_manifest_on_s3_is_empty_before_the_first_part_and_absent_without_a_bucket(
    s3_bucket: str,
) -> None:
    assert read_manifest(f"s3://{s3_bucket}/out/commits/manifest").equals(
        MANIFEST_SCHEMA.empty_table()
    )
    with pytest.raises(StorageError, match="no such bucket"):
        read_manifest(f"s3://{s3_bucket}-missing/out/commits/manifest")
