import datetime as dt
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_fixture import NAMES, ArchiveFixture, blamed
from tiny import empty_memory_store, pair_refs, picture_pair, png, tiny_fuser

from fusion_core.archive.layout import fused_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk
from fusion_core.archive.schema import PART_SCHEMA, STAGES
from fusion_core.errors import ManifestError, StorageError
from fusion_core.images.codecs import decode
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.worker import ChunkResult


@pytest.fixture(params=["local", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"
    empty_memory_store()


def test_a_chunk_becomes_images_and_rows_of_the_schema(root: str) -> None:
    archive = ArchiveFixture(root)
    before = dt.datetime.now(dt.UTC)
    assert archive.worker().run(archive.chunk()) == ChunkResult((archive.part,), ok=4, failed=0)
    table = read_part(archive.output, archive.part)
    assert table.schema.equals(PART_SCHEMA)
    rows = archive.rows()
    assert sorted(rows) == sorted(NAMES)
    for ref in archive.chunk().pairs:
        row = rows[ref.pair_id]
        archive.check_image(row)
        assert (row["status"], row["stage"], row["error_message"]) == ("ok", None, None)
        assert row["ir_url"] == archive.source.url(f"ir/{ref.pair_id}.png")
        assert (row["ir_version"], row["vi_version"]) == (ref.ir_version, ref.vi_version)
        assert (row["ir_bytes"], row["vi_bytes"]) == (ref.ir_bytes, ref.vi_bytes)
        assert (row["height"], row["width"], row["bit_depth"]) == (24, 32, 8)
        assert all(row[f"seconds_{stage}"] >= 0 for stage in STAGES)
        assert before <= row["started"] <= row["ended"] <= dt.datetime.now(dt.UTC)
        assert (row["run_id"], row["model_hash"]) == ("first", archive.fuser.model_hash)
        assert (row["device"], row["precision"], row["engine"]) == ("cpu", "fp32", "eager")
        assert (row["attempt"], row["cause"], row["history"]) == (1, None, None)


def test_rows_say_when_their_own_pair_was_worked_on(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveFixture(root, io_threads=1)
    worker = archive.worker()
    load, finish = worker._load, worker._finish
    first_is_done = threading.Event()

    def slow_load(pair: PairState) -> None:
        if pair.ref.pair_id == NAMES[-1]:
            first_is_done.wait(10)
            time.sleep(0.2)
        load(pair)

    def noted_finish(pair: PairState, fused: Any) -> dict[str, Any]:
        row = finish(pair, fused)
        first_is_done.set()
        return row

    monkeypatch.setattr(worker, "_load", slow_load)
    monkeypatch.setattr(worker, "_finish", noted_finish)
    worker.run(archive.chunk())
    first, last = (archive.rows()[name] for name in (NAMES[0], NAMES[-1]))
    assert first["ended"] + dt.timedelta(seconds=0.1) < last["started"]


def test_the_fused_image_is_the_networks(root: str) -> None:
    archive = ArchiveFixture(root)
    archive.worker().run(archive.chunk())
    pixels = decode(archive.output.read(next(iter(archive.images())))).pixels
    assert pixels.shape == (24, 32, 3)
    ir, vi = (picture.astype(np.float32) for picture in picture_pair(int.from_bytes(b"a")))
    assert np.abs(pixels - vi).mean() > 1  # neither of its sources
    assert np.abs(pixels.mean(-1) - ir).mean() > 1


def test_paths_are_known_beforehand_and_hold_settings_and_arithmetic(root: str) -> None:
    archive, other = ArchiveFixture(root), ArchiveFixture(root, png_level=9)
    assert archive.run.settings_hash != other.run.settings_hash
    for each in (archive, other):
        part = Chunk(f"part-{each.settings.png_level}", each.chunk().pairs)
        each.worker().run(part)
    expected = {
        fused_path(
            ref,
            each.run.settings_hash,
            each.fuser.model_hash,
            "png",
            arithmetic="cpu-fp32-eager",
        )
        for each in (archive, other)
        for ref in each.chunk().pairs
    }
    assert set(archive.images()) == expected
    assert all(
        path.split("/")[1] in (archive.run.settings_hash, other.run.settings_hash)
        for path in expected
    )


def test_pairs_that_cannot_be_fused_become_rows_and_all_others_are_fused(root: str) -> None:
    archive = ArchiveFixture(root)
    bad = {
        "cut": (png(picture_pair(1)[0])[:200], png(picture_pair(1)[1])),
        "empty": (png(picture_pair(2)[0]), b""),
        "text": (b"not an image, though named so", png(picture_pair(3)[1])),
        "sizes": (png(picture_pair(4, (9, 9))[0]), png(picture_pair(4)[1])),
    }
    for name, (ir, vi) in bad.items():
        archive.source.write(f"ir/{name}.png", ir)
        archive.source.write(f"vi/{name}.png", vi)
    chunk = Chunk("part", pair_refs(archive.settings.source, [*bad, *NAMES]))
    archive.source.fs.rm_file(archive.source.fs_path("vi/e.png"))
    result = archive.worker().run(chunk)
    assert (result.parts, result.ok, result.failed) == ((archive.part,), 3, 4)
    assert [(one.ref.pair_id, one.cause) for one in result.undone] == [("e", "archive")]
    rows = archive.rows()
    assert {name: blamed(row) for name, row in rows.items()} == {
        "cut": ("failed", "pair", "decode", "DecodeError"),
        "empty": ("failed", "pair", "decode", "DecodeError"),
        "text": ("failed", "pair", "decode", "DecodeError"),
        "sizes": ("failed", "pair", "pair", "SizeMismatchError"),
        "e": ("undone", "archive", "read", "SourceChangedError"),
        **dict.fromkeys(["a", "b", "c/d"], ("ok", None, None, None)),
    }
    assert "ir/text.png: the file is no image" in rows["text"]["error_message"]
    for name, row in rows.items():
        assert (row["fused_url"] is None) == (name not in NAMES[:3])
        if row["status"] == "ok":
            archive.check_image(row)
    assert len(archive.images()) == 3


def test_an_unforeseen_error_is_a_row_with_the_stage_it_happened_in(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveFixture(root)

    def unforeseen(*_: Any, in_tiles: bool) -> None:
        raise RuntimeError("x" * 5000)

    worker = archive.worker()
    monkeypatch.setattr(worker, "_fuse", unforeseen)
    assert len(worker.run(archive.chunk()).undone) == 4
    row = archive.rows()["b"]
    assert blamed(row) == ("undone", "worker", "fuse", "RuntimeError")
    assert len(row["error_message"]) == 2000


def test_a_committed_chunk_is_not_worked_on_again(root: str) -> None:
    archive = ArchiveFixture(root)
    archive.worker().run(archive.chunk())
    images, rows = archive.images(), archive.rows()
    again = FusionWorker(
        archive.source, archive.output, tiny_fuser(), archive.settings, archive.run
    )
    again.fuser = None  # type: ignore[assignment]
    assert again.run(archive.chunk()) == ChunkResult((archive.part,), ok=4, failed=0)
    assert (archive.images(), archive.rows()) == (images, rows)


def test_the_part_of_who_commits_first_stays_and_is_reported(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveFixture(root)
    first, second = archive.worker("first"), archive.worker("second")
    first.run(archive.chunk())
    rows = archive.rows()
    exists = archive.output.exists
    # As if the first had committed while the second was at work.
    monkeypatch.setattr(
        archive.output, "exists", lambda path: path != archive.part and exists(path)
    )
    images = archive.images()
    assert second.run(archive.chunk()) == ChunkResult((archive.part,), ok=4, failed=0)
    assert archive.rows() == rows
    assert {row["run_id"] for row in rows.values()} == {"first"}
    assert archive.images() == images


def test_the_numbers_reported_are_those_of_the_part_that_stays(root: str) -> None:
    archive = ArchiveFixture(root)
    told = archive.worker("other").give_up(archive.chunk(), "the process ended")
    assert archive.worker().run(archive.chunk()) == told
    assert (told.ok, len(told.undone)) == (0, 4)


@pytest.mark.parametrize("damaged", [False, True])
def test_killed_before_the_commit_the_next_run_commits_what_is_stored(
    root: str, monkeypatch: pytest.MonkeyPatch, damaged: bool
) -> None:
    archive = ArchiveFixture(root)
    killed = archive.worker()
    with monkeypatch.context() as patch:
        patch.setattr(killed, "_commit", raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            killed.run(archive.chunk())
    images = archive.images()
    assert len(images) == 4
    assert not archive.output.exists(archive.part)
    path = next(iter(images))
    if damaged:
        archive.output.write(path, archive.output.read(path)[:50])
    assert archive.worker("second").run(archive.chunk()) == ChunkResult((archive.part,), 4, 0)
    for row in archive.rows().values():
        assert row["run_id"] == "second"
        archive.check_image(row)
    if damaged:  # that is left where it lies, for whoever may name it
        assert len(archive.images()) == 5
        named = {row["fused_url"] for row in archive.rows().values()}
        assert archive.output.url(path) not in named
    else:
        assert archive.images() == images


def raising(error: BaseException) -> Any:
    def call(*_: Any) -> None:
        raise error

    return call


def test_a_part_that_cannot_be_read_or_written_is_an_error_of_the_chunk(
    root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveFixture(root)
    archive.output.write(archive.part, b"no Parquet")
    with pytest.raises(ManifestError, match="can't be read as a manifest part"):
        archive.worker().run(archive.chunk())
    monkeypatch.setattr(archive.output, "create", raising(StorageError("away")))
    elsewhere = Chunk("elsewhere", archive.chunk().pairs)
    with pytest.raises(StorageError, match="away"):
        archive.worker().run(elsewhere)


def test_a_parts_rows_stand_in_the_order_of_their_pair_ids(root: str) -> None:
    archive = ArchiveFixture(root)
    archive.worker().run(Chunk("part", tuple(reversed(archive.chunk().pairs))))
    assert read_part(archive.output, archive.part)["pair_id"].to_pylist() == NAMES
