"""Every file of the corpus ends fused or as a failed row, and costs nothing but itself."""

import subprocess
import sys
from pathlib import Path

import pytest
from corpus_archive import GOOD, Entry, entries
from hostile_case import Failed
from hostile_places import FIFO
from run_corpus import MEMORY_BOUND_MIB, Found, difference, neighbours_lost, run_corpus

ENTRIES = [entry for entry, _ in entries()]
READ = """
import sys, time
from fusion_core.errors import FuseArchiveError
from fusion_core.storage.store import Storage
begin = time.monotonic()
try:
    Storage(sys.argv[1]).read("fifo.png")
except FuseArchiveError:
    print("refused", time.monotonic() - begin)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run_corpus(tmp_path_factory.mktemp("corpus"))


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    assert len({entry.case for entry in ENTRIES}) >= 200
    assert len({(entry.case, entry.side) for entry in ENTRIES}) == len(ENTRIES)
    assert sum(isinstance(entry.expected, Failed) for entry in ENTRIES) >= 100


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.case}-{entry.side}")
def test_a_hostile_pair_ends_as_it_must(entry: Entry, found: Found) -> None:
    assert difference(entry, found) is None


def test_no_good_pair_is_lost(found: Found) -> None:
    assert neighbours_lost(found) == []
    assert found.work["unpaired"] == found.work["ambiguous"] == found.work["unmatched"] == []


def test_every_pair_has_one_row(found: Found) -> None:
    assert len(found.rows) == len(ENTRIES) + len({entry.case for entry in ENTRIES})


def test_memory_stays_bounded(found: Found) -> None:
    assert found.work["peak_above_baseline_mib"] < MEMORY_BOUND_MIB


def test_a_worker_keeps_nothing_of_what_a_chunk_freed(found: Found) -> None:
    assert found.work["kept_of_freed_mib"] < 32  # 130 to 240 where nothing is given back


def test_no_file_keeps_its_worker_busy(found: Found) -> None:
    assert found.work["slowest_chunk_seconds"] < 20


def test_nothing_is_written_outside_the_output(found: Found) -> None:
    assert found.outside == set()


def test_a_named_pipe_keeps_nobody_waiting(tmp_path: Path) -> None:
    path = tmp_path / "fifo.png"
    path.write_bytes(GOOD["vi"])
    assert FIFO.before is not None
    FIFO.before(path)
    command = [sys.executable, "-c", READ, str(tmp_path)]
    # Most of the process's time is its start.
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    answer, seconds = done.stdout.split()
    assert answer == "refused"
    assert float(seconds) < 5
