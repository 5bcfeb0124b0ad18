"""A plan of some pairs only, whatever else an archive holds."""

import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from plan_tables import Tried, make_pairing, make_rows
from published_rows import as_part, publish

from fusion_core.archive import planning
from fusion_core.archive.attempts import Patience
from fusion_core.archive.index.key_index import open_index
from fusion_core.archive.plan import Plan
from fusion_core.archive.planning import plan_pairs
from fusion_core.errors import SettingsError
from fusion_core.storage.store import Storage

PAIRS = {f"p{k}": ("i", "v", 1) for k in range(5)}
TRIED = [
    Tried(("p1", "i", "v"), "failed", "decode", 1),
    Tried(("p2", "i", "v"), "undone", "fuse", 1, 0, "r1"),
    Tried(("p2", "i", "v"), "undone", "fuse", 2, 1, "r2"),
    Tried(("p3", "i", "v"), "ok", None, 1),
]


def plan(folder: Path, *only: str, **options: object) -> Plan:
    store = Storage(f"memory://{uuid.uuid4().hex}")
    rows = make_rows(TRIED)
    publish(store, 1, [as_part(rows)])
    index = open_index(store, "manifest", folder, generation=2)
    return plan_pairs(
        make_pairing(PAIRS),
        index,
        lambda found: (found, found.slice(0, 0)),
        folder,
        only=only,
        patience=Patience(1e6),
        **options,  # type: ignore[arg-type]
    )


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "_BATCH", 2)


def ids(of: Plan) -> list[str]:
    assert not isinstance(of.todo, pa.Table)
    found: list[str] = of.todo.read()["pair_id"].to_pylist()
    return found


def test_only_pairs_that_are_asked_for_are_planned(tmp_path: Path) -> None:
    some = plan(tmp_path, "p4", "p1", "p2", "p3", reprocess="failed")
    assert (ids(some), some.done, some.unasked) == (["p1", "p2", "p4"], 1, 1)
    assert len(some.pairing.pairs) == 5
    left = plan(tmp_path, "p1", "p2")
    assert (ids(left), left.known_failed, left.waiting, left.unasked) == ([], 1, 1, 3)
    everything = plan(tmp_path, "p3", reprocess="all")
    assert (ids(everything), everything.done) == (["p3"], 0)
    assert plan(tmp_path).unasked == 0


def test_pairs_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"'p9', 'q' are none of the 5 that were found; exp"):
        plan(tmp_path, "q", "p1", "p9")
    many = [f"q{k:02}" for k in range(12)]
    with pytest.raises(SettingsError, match=r"'q09' and 2 more are none"):
        plan(tmp_path, *many)
