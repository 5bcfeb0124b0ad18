"""Whatever came when, and however it was merged, the index plans as all rows together would."""

import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_tables import (
    FEW_PAIRS,
    HOURS,
    LIMITS,
    NOW,
    PAIR_KEYS,
    REPROCESS,
    at_hour,
    histories,
    make_pairing,
    make_rows,
)
from published_rows import DAY, as_part, lay_part_of_before, publish
from tiny import empty_memory_store

from fusion_core.archive import planning
from fusion_core.archive.attempts import Patience, last_attempts
from fusion_core.archive.index import shards, update
from fusion_core.archive.index.key_index import open_index
from fusion_core.archive.index.state import index_schema, newest_number, newest_state
from fusion_core.archive.index.update import merge_shards
from fusion_core.archive.layout import part_path, rows_path
from fusion_core.archive.lease_record import LeaseRecord, intent_path, write_record
from fusion_core.archive.older import split_by_version
from fusion_core.archive.plan import make_plan
from fusion_core.archive.planning import plan_pairs
from fusion_core.archive.publications import Publication, create_publication
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

SETTINGS = st.sampled_from(["now", "before", "other"])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes at which a few rows are many."""
    monkeypatch.setattr(planning, "_BATCH", 2)
    monkeypatch.setattr(shards, "_GROUP_ROWS", 2)
    for module in (shards, update):
        monkeypatch.setattr(module, "MOST_ROWS", 8)
    monkeypatch.setattr(update, "_MERGED", 2)
    monkeypatch.setattr(update, "_BACKLOG", 3)
    monkeypatch.setattr(update, "_PARTS_AT_ONCE", 2)


def split(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    return split_by_version(rows, "now", ["before"])


def output() -> Storage:
    empty_memory_store()
    return Storage(f"memory://index/{uuid.uuid4().hex}")


def in_parts(data: st.DataObject, rows: pa.Table) -> list[pa.Table]:
    """Cut rows into the publications of some nights, in any order."""
    order = data.draw(st.permutations(range(len(rows))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=6)))
    mixed = rows.take(pa.array(order, pa.int64()))
    ends = [*cuts, len(rows)]
    tables = [mixed.slice(a, b - a) for a, b in zip([0, *cuts], ends, strict=True)]
    return [as_part(table) for table in tables if len(table)]


def seen(plan: Any) -> tuple[Any, ...]:
    todo = plan.todo if isinstance(plan.todo, pa.Table) else plan.todo.read()
    names = ("done", "known_failed", "over_limit", "waiting", "archived", "older")
    return (todo.to_pylist(), {name: getattr(plan, name) for name in names})


@given(
    pairs=FEW_PAIRS,
    tried=histories(PAIR_KEYS),
    reprocess=REPROCESS,
    limit=LIMITS,
    hours=HOURS,
    now=NOW,
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_a_plan_by_the_index_is_the_plan_by_all_rows(
    pairs: dict[str, tuple[str, str, int]],
    tried: list[Any],
    reprocess: str,
    limit: int | None,
    hours: float,
    now: int,
    data: st.DataObject,
) -> None:
    store = output()
    hashes = data.draw(st.lists(SETTINGS, min_size=len(tried), max_size=len(tried)))
    rows = make_rows(tried).append_column("settings_hash", pa.array(hashes, pa.string()))
    nights = in_parts(data, rows)
    before = data.draw(st.integers(0, len(nights)))
    for place, night in enumerate(nights[:before]):
        lay_part_of_before(store, f"{place:02x}", night.to_pylist())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for generation, night in enumerate(nights[before:], 1):
            publish(store, generation, [night])
            if data.draw(st.booleans()):
                open_index(store, "manifest", folder, generation=generation)
            if data.draw(st.booleans()):
                merge_shards(store, "manifest", folder)
        lease = data.draw(st.sampled_from([len(nights) - before + 1, None]))
        index = open_index(store, "manifest", folder, generation=lease)
        assert index.state.rows == len(rows)
        pairing, patience = make_pairing(pairs), Patience(hours, at_hour(now))
        own, older = split(rows)
        numbers = last_attempts(rows)
        options: dict[str, Any] = {"reprocess": reprocess, "limit": limit, "patience": patience}
        expected = make_plan(pairing, own, numbers=numbers, older=older, **options)
        assert seen(plan_pairs(pairing, index, split, folder, **options)) == seen(expected)


def rows_of(ids: Sequence[str]) -> pa.Table:
    names = ("pair_id", "run_id", "ir_version", "vi_version", "settings_hash")
    return as_part(pa.table({**dict.fromkeys(names, ids), "status": ["ok"] * len(ids)}))


def test_a_dry_run_looks_up_what_is_new_and_writes_nothing(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    publish(store, 1, [rows_of(["a", "c"])])
    (tmp_path / "scratch").mkdir()
    before = store.list()["path"].to_pylist()
    index = open_index(store, "manifest", tmp_path / "scratch")
    found = index.rows_of(pa.array(["a", "b"]))["pair_id"].to_pylist()
    assert (found, store.list()["path"].to_pylist()) == (["a"], before)


def test_a_dry_run_is_not_disturbed_by_a_run_that_merges_what_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update, "_BACKLOG", 2)
    store = Storage(str(tmp_path / "out"))
    (tmp_path / "scratch").mkdir()
    publish(store, 1, [rows_of(["a"])])
    open_index(store, "manifest", tmp_path, generation=1)
    dry = open_index(store, "manifest", tmp_path / "scratch")
    for generation in (2, 3):
        publish(store, generation, [rows_of([f"b{generation}"])])
    merged = open_index(store, "manifest", tmp_path, generation=3).state
    assert not {shard.name for shard in merged.shards} & {s.name for s in dry.state.shards}
    assert dry.rows_of(pa.array(["a"]))["pair_id"].to_pylist() == ["a"]
    last = open_index(store, "manifest", tmp_path, generation=4).state
    left = sorted(path.name for path in (tmp_path / "out").rglob("shard-*.parquet"))
    assert left == sorted(shard.name for shard in last.shards)


def test_shards_are_merged_once_nobody_waits_for_a_plan_any_more(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    (tmp_path / "scratch").mkdir()
    merge_shards(store, "manifest", tmp_path)
    assert newest_number(store, "manifest") == 0, "where there is no index, none is made"
    for generation in (1, 2):
        publish(store, generation, [rows_of([f"a{generation}"])])
        index = open_index(store, "manifest", tmp_path, generation=generation)
    assert len(index.state.shards) == 2
    dry = open_index(store, "manifest", tmp_path / "scratch")
    merge_shards(store, "manifest", tmp_path)
    assert [shard.rows for shard in newest_state(store, "manifest")[1].shards] == [2]
    assert dry.rows_of(pa.array(["a1", "a2"]))["pair_id"].to_pylist() == ["a1", "a2"]
    publish(store, 3, [rows_of(["a3"])])
    last = open_index(store, "manifest", tmp_path, generation=3)
    assert last.rows_of(pa.array(["a1", "a3"]))["pair_id"].to_pylist() == ["a1", "a3"]
    assert sorted(shard.rows for shard in last.state.shards) == [1, 2]


def test_what_runs_that_did_not_come_to_their_ends_left_is_merged_before_a_plan(
    tmp_path: Path,
) -> None:
    store, shards = Storage(str(tmp_path / "out")), []
    for generation in range(1, 6):
        publish(store, generation, [rows_of([f"a{generation}"])])
        index = open_index(store, "manifest", tmp_path, generation=generation)
        shards.append(sorted(shard.rows for shard in index.state.shards))
    assert shards == [[1], [1, 1], [1, 2], [2, 2], [2, 3]]


def test_a_dry_run_leaves_out_what_is_being_published(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    (tmp_path / "scratch").mkdir()
    publish(store, 1, [rows_of(["a"])])
    path, part = rows_path(DAY, 1, 1), part_path(DAY, "1x2")
    begun = Publication(file=path, row_groups=2, rows=1, parts=(part,))
    assert create_publication(store, 1, 2, begun)
    dry = open_index(store, "manifest", tmp_path / "scratch")
    assert dry.rows_of(pa.array(["a"]))["pair_id"].to_pylist() == ["a"]
    with pytest.raises(ManifestError, match="row group 1"):
        open_index(store, "manifest", tmp_path, generation=1)


def test_what_was_published_is_taken_in_once(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    publish(store, 1, [rows_of(["a"]), rows_of(["b"])])
    for generation in (2, 2, 3):
        index = open_index(store, "manifest", tmp_path, generation=generation)
        assert index.state.rows == 2
    publish(store, 4, [rows_of(["c"])])
    assert open_index(store, "manifest", tmp_path, generation=4).state.rows == 3


def test_a_run_of_a_version_before_that_came_later_is_taken_in(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    publish(store, 1, [rows_of(["a"])])
    open_index(store, "manifest", tmp_path, generation=1)
    path = lay_part_of_before(store, "0a", rows_of(["b"]).to_pylist())
    write_record(store, 2, LeaseRecord(run_id="old", host="h", token="t", seconds=1))
    store.write(intent_path(2, 1), f"{path}\nmanifest/date=2026-11-20/part-00.parquet".encode())
    index = open_index(store, "manifest", tmp_path, generation=3)
    assert index.rows_of(pa.array(["a", "b"]))["pair_id"].to_pylist() == ["a", "b"]


def test_a_shard_that_is_not_what_the_state_says_is_named(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    publish(store, 1, [rows_of(["a", "b", "c"])])
    index = open_index(store, "manifest", tmp_path, generation=1)
    shard = tmp_path / "out/commits/index/manifest" / index.state.shards[0].name
    pq.write_table(pq.read_table(shard).slice(0, 1), shard)
    with pytest.raises(ManifestError, match="has 1 rows; expected 3"):
        index.rows_of(pa.array(["a"]))


def test_a_damaged_filter_is_named(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    publish(store, 1, [rows_of(["a", "b", "c"])])
    index = open_index(store, "manifest", tmp_path, generation=1)
    (filters,) = (tmp_path / "out/commits/index/manifest").glob("shard-*.filter")
    body = filters.read_bytes()
    for damaged in (body[:-1], bytes([body[0] ^ 1]) + body[1:]):
        filters.write_bytes(damaged)
        with pytest.raises(ManifestError, match="damaged"):
            index.rows_of(pa.array(["a", "c"]))
    filters.unlink()
    with pytest.raises(ManifestError, match="is missing"):
        index.rows_of(pa.array(["a", "c"]))


def test_few_rows_and_many_are_sorted_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ["b", "é", "a/é", "a", "Z", "\U0001f30d", "\uffff", "a b"]
    stored = []
    for most in (0, 100):
        monkeypatch.setattr(update, "_IN_MEMORY", most)
        store = Storage(str(tmp_path / f"out{most}"))
        publish(store, 1, [rows_of(ids)])
        shards = open_index(store, "manifest", tmp_path, generation=1).state.shards
        folder = tmp_path / f"out{most}/commits/index/manifest"
        stored.append(pa.concat_tables(pq.read_table(folder / one.name) for one in shards))
    assert stored[0]["pair_id"].to_pylist() == sorted(ids)
    assert stored[1]["pair_id"].to_pylist() == sorted(ids)


def test_ids_of_any_length_are_found(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    ids = sorted(["a", "b" * 9000, "b" * 9001, "c"])
    publish(store, 1, [rows_of(ids)])
    index = open_index(store, "manifest", tmp_path, generation=1)
    assert index.rows_of(pa.array(ids))["pair_id"].to_pylist() == ids


def test_a_planted_state_is_refused(tmp_path: Path) -> None:
    store = Storage(str(tmp_path / "out"))
    path = "commits/index/manifest/00000001.json"
    for body in (b"{", b'{"shards": [{"name": "../../x.parquet", "rows": 1}]}'):
        store.write(path, body)
        with pytest.raises(ManifestError, match="is no state of an index"):
            open_index(store, "manifest", tmp_path)


def test_columns_are_those_that_plans_are_made_of() -> None:
    assert index_schema("scores").names[:5] == [
        *("pair_id", "method", "ir_version", "vi_version", "fused_version")
    ]
    assert {"attempt", "model_hash"} <= set(index_schema("manifest").names)
