"""Attempts at pairs as their rows tell them: given up, tried again, archived."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import NAMES, ArchiveFixture, blamed
from tiny import TODAY

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import commit_part, read_part
from fusion_core.archive.plan import Chunk
from fusion_core.archive.schema import PART_SCHEMA, STAGES
from fusion_core.errors import ArchivedError, LeaseLostError
from fusion_core.jobs.committed import ChunkResult, Undone, tried


@pytest.fixture
def archive(tmp_path: Path) -> ArchiveFixture:
    return ArchiveFixture(str(tmp_path))


def test_giving_up_writes_an_undone_row_for_each_pair(archive: ArchiveFixture) -> None:
    chunk = archive.chunk()
    reason = "its process was killed by signal 11"
    result = archive.worker().give_up(chunk, reason, cause="worker", where="n1")
    history = "worker at crash on n1"
    undone = tuple(Undone(tried(ref, history), "worker") for ref in chunk.pairs)
    assert result == ChunkResult((archive.part,), undone=undone)
    assert read_part(archive.output, archive.part).schema.equals(PART_SCHEMA)
    for row in archive.rows().values():
        assert blamed(row) == ("undone", "worker", "crash", "CrashError")
        assert (row["error_message"], row["history"], row["attempt"]) == (reason, history, 1)
        assert all(row[f"seconds_{stage}"] is None for stage in STAGES)
    assert archive.images() == {}


@pytest.mark.parametrize("cause", ["worker", "gpu", "memory", "time"])
def test_the_last_attempt_that_is_allowed_is_a_failed_row_with_all_causes(
    tmp_path: Path, cause: Any
) -> None:
    archive = ArchiveFixture(str(tmp_path), max_attempts=3)
    first, second, *others = archive.chunk().pairs
    before = "store at read on n1; store at read on n2"
    pairs = (replace(first, tries=2, attempt=7, history=before), second, *others)
    result = archive.worker().give_up(Chunk("part", pairs), "it ended", cause=cause, where="n3")
    assert (result.failed, len(result.undone)) == (1, 3)
    row = archive.rows()["a"]
    assert blamed(row) == ("failed", cause, "crash", "CrashError")
    history = f"{before}; {cause} at crash on n3"
    assert (row["history"], row["attempt"]) == (history, 7)
    assert row["error_message"] == f"given up after 3 attempts ({history}); the last: it ended"
    assert archive.rows()["b"]["status"] == "undone"


def test_an_attempt_that_succeeds_keeps_the_causes_of_those_before(archive: ArchiveFixture) -> None:
    given_up = archive.worker().give_up(archive.chunk(), "killed", cause="memory", where="n1")
    again = tuple(one.ref for one in given_up.undone)
    assert archive.worker().run(Chunk("again", again[:2])).ok == 2
    for row in read_part(archive.output, part_path(TODAY, "again")).to_pylist():
        assert (row["status"], row["attempt"]) == ("ok", 2)
        assert row["history"] == "memory at crash on n1; ok"


def test_nothing_is_given_up_behind_another_runs_tombstone(archive: ArchiveFixture) -> None:
    commit_part(archive.output, archive.part, [], closed_by="theirs")
    with pytest.raises(LeaseLostError, match="theirs has taken the output over from first"):
        archive.worker().give_up(archive.chunk(), "killed")


# Files in cold storage


def archived(archive: ArchiveFixture, *names: str) -> Chunk:
    """Return the chunk, of which some pairs were seen to be archived when it was listed."""
    pairs = archive.chunk().pairs
    return Chunk(
        "part",
        tuple(replace(ref, archived="GLACIER") if ref.pair_id in names else ref for ref in pairs),
    )


def test_an_archived_pair_is_a_skipped_row_and_its_neighbours_are_fused(
    archive: ArchiveFixture,
) -> None:
    result = archive.worker().run(archived(archive, "a", "e"))
    assert result == ChunkResult((archive.part,), ok=2, skipped=2)
    rows = archive.rows()
    for name in ("a", "e"):
        assert blamed(rows[name]) == ("skipped", "archive", None, "ArchivedError")
        assert "is archived (storage class GLACIER)" in rows[name]["error_message"]
        assert rows[name]["fused_url"] is None
    assert [rows[name]["status"] for name in ("b", "c/d")] == ["ok", "ok"]
    assert len(archive.images()) == 2
    assert read_part(archive.output, archive.part)["pair_id"].to_pylist() == NAMES


def test_a_pair_of_one_file_for_both_sides_is_a_failed_row_and_its_neighbours_are_fused(
    archive: ArchiveFixture,
) -> None:
    first, *others = archive.chunk().pairs
    same = replace(first, vi_path=first.ir_path, vi_bytes=first.ir_bytes)
    same = replace(same, vi_version=same.ir_version)
    result = archive.worker().run(Chunk("part", (same, *others)))
    assert (result.ok, result.failed) == (3, 1)
    row = archive.rows()["a"]
    assert blamed(row) == ("failed", "pair", "pair", "SameFileError")
    assert "both sides are the one file ir/a.png" in row["error_message"]
    assert len(archive.images()) == 3


def test_nothing_is_read_of_what_is_archived(
    archive: ArchiveFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def noted(what: str, *_: Any, **__: Any) -> None:
        calls.append(what)
        raise ArchivedError(what)

    chunk, worker = archived(archive, *NAMES), archive.worker()
    monkeypatch.setattr(archive.source, "call", noted)
    monkeypatch.setattr(archive.source, "read", noted)
    assert worker.run(chunk) == ChunkResult((archive.part,), skipped=4)
    assert calls == []
    assert worker.run(Chunk("other", archive.chunk().pairs[:1])).skipped == 1
    assert calls != []  # the counter counts


def test_a_file_that_was_archived_after_the_listing_is_skipped_where_it_is_read(
    archive: ArchiveFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = archive.source.read

    def cold(path: str, size: int = 0) -> bytes:
        if path == "vi/b.png":
            raise ArchivedError("can't read vi/b.png: it lies in an archive tier")
        return read(path, size)

    monkeypatch.setattr(archive.source, "read", cold)
    assert archive.worker().run(archive.chunk()) == ChunkResult((archive.part,), ok=3, skipped=1)
    assert blamed(archive.rows()["b"]) == ("skipped", "archive", "read", "ArchivedError")
