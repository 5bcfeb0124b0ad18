"""A thousand parts of a version before are carried over once, whoever is killed in the middle."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from manifest_rows import row
from published_rows import lay_part_of_before

from fusion_core.archive.index import update
from fusion_core.archive.index.key_index import KeyIndex, open_index
from fusion_core.archive.index.rebuild import differences
from fusion_core.archive.index.state import newest_state
from fusion_core.archive.older import split_by_version
from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing
from fusion_core.archive.planning import plan_pairs
from fusion_core.storage.store import Storage

PARTS, ROWS, AT_ONCE = 1000, 32, 128
PROGRAM = f"""
import os, signal, sys
from pathlib import Path
from fusion_core.archive.index import update
from fusion_core.archive.index.key_index import open_index
from fusion_core.storage.store import Storage
real, count = update.read_part, 0
def read_part(*given, **options):
    global count
    count += 1
    if count == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*given, **options)
update.read_part, update._PARTS_AT_ONCE = read_part, {AT_ONCE}
open_index(Storage(sys.argv[1]), "manifest", Path(sys.argv[2]), generation=1)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Storage:
    output = Storage(str(tmp_path_factory.mktemp("before") / "out"))
    for place in range(PARTS):
        ids = [f"p{place:04}-{number:02}" for number in range(ROWS)]
        rows = [row(one, model_hash="m", settings_hash="now") for one in ids]
        lay_part_of_before(output, f"{place:06x}", rows)
    return output


def carry_over_killed_at(output: Storage, read: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", PROGRAM, output.url(""), folder, str(read)]
        done = subprocess.run(command, env=os.environ, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def planned(index: KeyIndex, folder: Path) -> tuple[int, list[str]]:
    """Plan the pairs that have rows, and one more; return how many are done, and what is to do."""
    ids = [f"p{place:04}-{number:02}" for place in range(PARTS) for number in range(ROWS)]
    needed = [one for one in PAIRS_SCHEMA if not one.nullable]
    filled = {one.name: "x" if one.type == pa.string() else 1 for one in needed}
    pairs = pa.Table.from_pylist(
        [{**filled, "pair_id": one} for one in [*ids, "q"]], schema=PAIRS_SCHEMA
    )
    found = Pairing(pairs, (), (), ())
    plan = plan_pairs(found, index, lambda rows: split_by_version(rows, "now", []), folder)
    return plan.done, plan.todo.read()["pair_id"].to_pylist()


@pytest.mark.long
def test_what_was_killed_twice_goes_on_and_nothing_is_read_twice_nor_fused_again(
    output: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pd.read_parquet(output.url("manifest"), columns=["pair_id"])
    assert len(before) == PARTS * ROWS
    carried = []
    for read in (600, 2):
        carry_over_killed_at(output, read)
        carried.append(newest_state(output, "manifest")[1].rows)
    assert carried == [600 // AT_ONCE * AT_ONCE * ROWS] * 2
    again: list[str] = []
    real = update.read_part

    def counted(storage: Storage, path: str, columns: list[str]) -> pa.Table:
        again.append(path)
        return real(storage, path, columns)

    monkeypatch.setattr(update, "read_part", counted)
    index = open_index(output, "manifest", tmp_path, generation=1)
    assert len(again) == PARTS - carried[0] // ROWS
    assert (index.state.rows, index.state.carried) == (PARTS * ROWS, True)
    open_index(output, "manifest", tmp_path, generation=1)
    assert len(again) == PARTS - carried[0] // ROWS, "once is enough"
    told = differences(output, "manifest", tmp_path)
    assert (told.missing, told.superfluous) == (0, 0)
    assert planned(index, tmp_path) == (PARTS * ROWS, ["q"])
    after = pd.read_parquet(output.url("manifest"), columns=["pair_id"])
    assert sorted(after["pair_id"]) == sorted(before["pair_id"])
