"""Whoever may write to an output can write leases; a run must not be led astray by them."""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tiny import TODAY, empty_memory_store

from fusion_core.archive import lease_record
from fusion_core.archive.layout import is_part_path, part_path
from fusion_core.archive.lease import Lease, acquire
from fusion_core.archive.lease_record import (
    LEASE_FOLDER,
    intent_path,
    newest_generation,
    read_record,
    record_path,
)
from fusion_core.archive.parts import commit_part
from fusion_core.archive.publisher import Publisher
from fusion_core.errors import LeaseLostError, StorageError
from fusion_core.storage.store import Storage

RECORD = {"run_id": "planted", "host": "h", "token": "t", "seconds": 0.2}


@pytest.fixture
def output() -> Storage:
    """One in memory, so that the heartbeat has no process and nothing is outside of it."""
    empty_memory_store()
    return Storage("memory://untrusted/output")


def plant(output: Storage, generation: int, **changes: Any) -> None:
    output.write(record_path(generation), json.dumps({**RECORD, **changes}).encode())


@contextmanager
def taken(output: Storage) -> Iterator[Lease]:
    lease = acquire(lambda: output, "mine", seconds=1.0, wait=True)
    try:
        yield lease
    finally:
        lease.release()


def everything() -> set[str]:
    return set(Storage("memory://").list()["path"].to_pylist())


def test_intents_are_followed_to_parts_alone(
    output: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    plant(output, 1)
    good = [part_path(TODAY, "0a1f"), part_path(TODAY, "0a1fabr1a", "scores")]
    bad = [
        "manifest/date=2026-01-31/../../../../x/part-a.parquet",
        "../../x",
        "/etc/part-a.parquet",
        "",
        "fused/date=2026-01-31/part-a.parquet",
        "manifest/date=2026-02-31/part-a.parquet",
        "manifest/date=٢٠٢٦-01-31/part-a.parquet",
        "manifest/date=2026-01-31/part-a.parquet/x",
        "manifest/date=2026-01-31/part-.parquet",
        "http://169.254.169.254/manifest/date=2026-01-31/part-a.parquet",
        f"manifest/date=2026-01-31/part-{'a' * 129}.parquet",
        "\x1b[31m",
    ]
    output.write(intent_path(1, 1), "\n".join([*bad, *good]).encode() + b"\n\xff\xfe")
    before = everything()
    with caplog.at_level(logging.WARNING), taken(output) as lease:
        assert Publisher(lambda: output, lease).take_over().tombstones == 2
    added = everything() - before - {f"untrusted/output/{record_path(2)}"}
    assert added == {f"untrusted/output/{path}" for path in good}
    (told,) = [one for one in caplog.messages if "write intents" in one]
    assert told.startswith("13 write intents of generation 1 are no parts' paths")
    assert "found 'manifest/date=2026-01-31/../" in told
    assert "expected one such as commits/manifest/date=" in told


def test_halves_are_followed_as_far_as_a_chunk_could_be_split(output: Storage) -> None:
    plant(output, 1)
    longest = part_path(TODAY, "0" * 120)
    output.write(intent_path(1, 1), longest.encode())
    for halves in range(9):  # split, again and again
        assert commit_part(output, part_path(TODAY, "0" * 120 + "a" * halves), [])
    with taken(output) as lease:
        assert Publisher(lambda: output, lease).take_over().tombstones == 8  # at the b of each


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"seconds": -1.0},
        {"run_id": "x" * 257},
        {"host": "two\nlines"},
    ],
)
def test_a_record_that_no_run_would_write_is_named(
    output: Storage, changes: dict[str, Any]
) -> None:
    plant(output, 1, **changes)
    with pytest.raises(StorageError, match=r"00000001.json is no lease of this software"):
        acquire(lambda: output, "mine", seconds=1.0, wait=True)


def test_absurd_patience_is_cut(output: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lease_record.LONGEST_SECONDS == 86_400
    monkeypatch.setattr(lease_record, "LONGEST_SECONDS", 0.3)
    plant(output, 1, seconds=1e300)
    began = time.monotonic()
    with taken(output):
        pass
    assert 0.3 <= time.monotonic() - began < 3


@pytest.mark.parametrize("path", [record_path(1), intent_path(1, 1)])
def test_what_is_too_large_is_not_held(output: Storage, path: str) -> None:
    plant(output, 1, released=True)
    output.write(path, b" " * ((1 << 20) + 1))
    with (
        pytest.raises(StorageError, match=rf"{path} is larger than \d+ bytes.*Remove the file"),
        taken(output) as lease,
    ):
        Publisher(lambda: output, lease).take_over()


def test_names_that_only_look_like_generations_are_passed_over(output: Storage) -> None:
    for name in ("²²²²²²²².json", "000000000009.json", "99.json", f"{'9' * 200}.json"):
        output.write(f"{LEASE_FOLDER}/{name}", b"{}")
    assert newest_generation(output) == 0
    with taken(output) as lease:
        assert lease.generation == 1


def test_a_successor_that_is_no_record_ends_the_run_all_the_same(output: Storage) -> None:
    lease = acquire(lambda: output, "mine", seconds=60.0, wait=True)
    output.write(record_path(2), b"[" * 100_000)
    with pytest.raises(LeaseLostError, match="generation 2 took the output over from mine"):
        lease.declare_intents([part_path(TODAY, "a")])
    lease.release()
    record = read_record(output, 1)
    assert record is not None
    assert not record.released


def test_paths_of_parts_are_told_from_others() -> None:
    assert is_part_path(part_path(TODAY, "0123456789abcdef01234567"))
    assert is_part_path(part_path(TODAY, "0123456789abcdefr1ab"))
    assert not is_part_path(part_path(TODAY, "0123/456"))
    assert not is_part_path(part_path(TODAY, "abc\n"))
    assert not is_part_path(part_path(TODAY, "ABC"))
