import datetime as dt
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_fixture import blamed
from tiny import (
    TODAY,
    empty_memory_store,
    picture_pair,
    png,
    score_settings_for,
    write_fused,
    write_pairs,
)

from fusion_core.archive.layout import SCORES_FOLDER, part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, cut_chunks, make_plan
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.images.codecs import decode
from fusion_core.jobs.committed import ChunkResult, Undone, tried
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_fused
from fusion_core.jobs.scoring_worker import ScoringWorker
from fusion_core.metrics import METRIC_NAMES, score
from fusion_core.storage.store import Storage

NAMES = ["a", "b"]
PART = part_path(TODAY, "part", SCORES_FOLDER)


@pytest.fixture(params=["local", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    empty_memory_store()


class ArchiveFixture:
    """An archive of two pairs with the fused images of two methods."""

    def __init__(self, root: str, **changes: Any):
        self.settings = score_settings_for(f"{root}/source", f"{root}/output", "m", "n", **changes)
        self.source, self.output = Storage(self.settings.source), Storage(self.settings.output)
        write_pairs(self.settings.source, NAMES)
        for method in ("m", "n"):
            write_fused(self.settings.source, method, NAMES)

    def worker(self) -> ScoringWorker:
        run = RunIdentity("first", TODAY, None, self.settings.settings_hash())
        fused = dict.fromkeys(self.settings.fused, self.source)
        return ScoringWorker(self.source, self.output, fused=fused, settings=self.settings, run=run)

    def chunk(self) -> Chunk:
        settings = self.settings
        pairing, images = list_fused(settings, self.source, self.output, TODAY, {})
        rows = PART_SCHEMA.empty_table()
        (chunk,) = cut_chunks(make_plan(pairing, rows, images=images.images).todo, "key", 99)
        return Chunk("part", chunk.pairs)

    def rows(self) -> dict[tuple[str, str], dict[str, Any]]:
        rows = read_part(self.output, PART).to_pylist()
        return {(row["pair_id"], row["method"]): row for row in rows}


def test_a_chunk_becomes_one_row_of_the_schema_for_every_image(root: str) -> None:
    archive = ArchiveFixture(root)
    before = dt.datetime.now(dt.UTC)
    assert archive.worker().run(archive.chunk()) == ChunkResult((PART,), ok=4, failed=0)
    assert read_part(archive.output, PART).schema.equals(PART_SCHEMA)
    rows = archive.rows()
    assert [*rows] == [("a", "m"), ("a", "n"), ("b", "m"), ("b", "n")]
    for ref in archive.chunk().pairs:
        row = rows[ref.pair_id, ref.method]
        path = f"fused_{ref.method}/{ref.pair_id}.png"
        body = archive.source.read(path)
        assert row["fused_url"] == archive.source.url(path)
        assert (row["fused_version"], row["fused_bytes"]) == (ref.fused_version, len(body))
        assert row["fused_sha256"] == hashlib.sha256(body).hexdigest()
        assert (row["ir_version"], row["vi_version"]) == (ref.ir_version, ref.vi_version)
        sides = [archive.source.read(f"{side}/{ref.pair_id}.png") for side in ("ir", "vi")]
        expected = score(*(decode(file).pixels for file in (*sides, body)))
        assert {name: row[name] for name in METRIC_NAMES} == pytest.approx(expected, rel=1e-12)
        assert (row["height"], row["width"], row["bit_depth"]) == (24, 32, 8)
        assert (row["status"], row["model_hash"], row["metrics_undefined"]) == ("ok", None, None)
        assert row["metric_version"] == "published-1"
        timed = {stage: row[f"seconds_{stage}"] for stage in ("read", "decode", "score")}
        assert all(seconds >= 0 for seconds in timed.values())
        assert all(row[f"seconds_{stage}"] is None for stage in ("fuse", "encode", "write"))
        assert before <= row["started"] <= row["ended"]


def test_images_that_cannot_be_scored_become_rows_and_all_others_are_scored(
    root: str, caplog: pytest.LogCaptureFixture
) -> None:
    archive = ArchiveFixture(root)
    write_pairs(archive.settings.source, ["gone", "cut", "small", "text"])
    for method in ("m", "n"):
        write_fused(archive.settings.source, method, ["gone", "cut", "text"])
    write_fused(archive.settings.source, "m", ["small"], size=(12, 16))
    whole = archive.source.read("fused_m/cut.png")
    archive.source.write("fused_m/cut.png", whole[:200])
    archive.source.write("ir/text.png", b"no image")
    chunk = archive.chunk()
    archive.source.fs.rm_file(archive.source.fs_path("fused_n/gone.png"))
    result = archive.worker().run(chunk)
    assert (result.parts, result.ok, result.failed) == ((PART,), 6, 4)
    (undone,) = result.undone
    assert (undone.ref.key[:2], undone.cause) == (("gone", "n"), "archive")
    failed = {key: row for key, row in archive.rows().items() if row["status"] != "ok"}
    assert {key: blamed(row) for key, row in failed.items()} == {
        ("cut", "m"): ("failed", "pair", "decode", "DecodeError"),
        ("gone", "n"): ("undone", "archive", "read", "SourceChangedError"),
        ("small", "m"): ("failed", "pair", "pair", "SizeMismatchError"),
        ("text", "m"): ("failed", "pair", "decode", "DecodeError"),
        ("text", "n"): ("failed", "pair", "decode", "DecodeError"),
    }
    assert failed["small", "m"]["error_message"].startswith(
        "fused_m/small.png is 16x12 and its sources 32x24; expected equal sizes"
    )
    assert "pair small failed at pair: fused_m/small.png is 16x12" in caplog.text
    assert "fused_n/gone.png is gone" in failed["gone", "n"]["error_message"]
    assert failed["cut", "m"]["fused_url"] == archive.source.url("fused_m/cut.png")
    assert failed["cut", "m"]["vif"] is None


def test_a_metric_that_is_undefined_is_null_with_its_reason(root: str) -> None:
    archive = ArchiveFixture(root)
    archive.source.write("ir/a.png", png(np.full((24, 32), 7, np.uint8)))
    archive.worker().run(archive.chunk())
    row = archive.rows()["a", "m"]
    assert (row["status"], row["scd"]) == ("ok", None)
    assert "scd: the infrared image is constant" in row["metrics_undefined"]
    assert row["ag"] > 0
    assert archive.rows()["b", "m"]["metrics_undefined"] is None


def test_sources_of_different_size_follow_the_setting(root: str) -> None:
    archive = ArchiveFixture(root)
    archive.source.write("ir/a.png", png(picture_pair(1, (12, 16))[0]))
    assert archive.worker().run(archive.chunk()).failed == 2
    other = ArchiveFixture(f"{root}/resized", size_mismatch="resize_ir")
    other.source.write("ir/a.png", png(picture_pair(1, (12, 16))[0]))
    assert other.worker().run(other.chunk()).failed == 0


def test_the_convention_reaches_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    archive = ArchiveFixture("memory://convention", convention="textbook")
    asked = []

    def noted(*arguments: Any, convention: str, valid: None) -> dict[str, Any]:
        asked.append((arguments[-1], convention))
        return {"metric_version": "textbook-1"}

    monkeypatch.setattr("fusion_core.jobs.scoring_worker.score_columns", noted)
    archive.worker().run(archive.chunk())
    assert asked == [("cpu", "textbook")] * 4
    assert {row["metric_version"] for row in archive.rows().values()} == {"textbook-1"}
    empty_memory_store()


def test_giving_up_writes_a_crash_row_for_each_image(root: str) -> None:
    archive = ArchiveFixture(root)
    chunk = archive.chunk()
    result = archive.worker().give_up(chunk, "its process was killed", where="n7")
    history = "worker at crash on n7"
    assert result == ChunkResult(
        (PART,), undone=tuple(Undone(tried(ref, history), "worker") for ref in chunk.pairs)
    )
    for row in archive.rows().values():
        assert blamed(row) == ("undone", "worker", "crash", "CrashError")
        assert (row["attempt"], row["history"]) == (1, history)
    # What was committed first stays.
    assert archive.worker().run(chunk) == result


def test_an_image_of_archived_sources_is_a_skipped_row_and_the_others_are_scored(root: str) -> None:
    archive = ArchiveFixture(root)
    first, *others = archive.chunk().pairs
    chunk = Chunk("part", (replace(first, archived="DEEP_ARCHIVE"), *others))
    assert archive.worker().run(chunk) == ChunkResult((PART,), ok=3, skipped=1)
    row = archive.rows()["a", "m"]
    assert blamed(row) == ("skipped", "archive", None, "ArchivedError")
    assert "storage class DEEP_ARCHIVE" in row["error_message"]
    assert row["fused_url"] == archive.source.url("fused_m/a.png")


def test_told_to_stop_it_commits_what_it_scored(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = ArchiveFixture(root, io_threads=1)
    worker, chunk = archive.worker(), archive.chunk()
    load_one, score_one, begun = worker._load, worker._score, []

    def held(pair: Any) -> None:
        begun.append(pair)
        if len(begun) > 2:  # on a busy machine all could be loaded before the first is scored
            worker.stopping.wait(60)
        load_one(pair)

    def stopped(pair: Any) -> dict[str, Any]:
        worker.stopping.set()
        return score_one(pair)

    monkeypatch.setattr(worker, "_load", held)
    monkeypatch.setattr(worker, "_score", stopped)
    result = worker.run(chunk)
    done = list(archive.rows())
    left = tuple(ref for ref in chunk.pairs if (ref.pair_id, ref.method) not in done)
    assert result == ChunkResult((PART,), ok=len(done), left=left)
    assert left
    assert archive.worker().run(Chunk("rest", left)).ok == len(left)
