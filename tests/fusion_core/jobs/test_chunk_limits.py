import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from archive_fixture import NAMES, ArchiveFixture, blamed
from generated_scenes import scene_bands
from scene_fixture import SceneFixture, pixels_of
from tiny import pair_refs, tiny_fuser, write_pairs
from torch import Tensor

from fusion_core.archive.plan import Chunk
from fusion_core.jobs.scene import SceneWork, _TileWriter
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.scenes.pair import ScenePair

TILED = "fused in tiles of 128 pixels, because memory ran out"
LONG = 60.0


def cramped(room: int, refused: list[tuple[int, ...]] | None = None) -> NetworkFuser:
    """Return a tiny network's fuser with room for a batch of so many pixels."""
    fuser = tiny_fuser()

    def refuse(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if inputs[0].numel() > room:
            if refused is not None:
                refused.append(tuple(inputs[0].shape))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")

    fuser._engine._network.register_forward_pre_hook(refuse)
    return fuser


# Photographs


def test_batches_stay_small_for_all_chunks_of_a_worker(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path), batch_size=4, io_threads=1)
    refused: list[tuple[int, ...]] = []
    archive.fuser = cramped(2 * 40 * 48, refused)
    worker = archive.worker()
    for part in ("first", "second"):
        assert worker.run(Chunk(part, archive.chunk().pairs)).ok == 4
    assert worker.photographs.batch_size == 2
    assert len(refused) == 1


def test_a_pair_fused_in_tiles_says_so_and_its_neighbours_do_not(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path))
    write_pairs(archive.settings.source, ["large"], (300, 340))
    refs = pair_refs(archive.settings.source, [*NAMES, "large"])
    whole = archive.worker()
    assert whole.run(Chunk("whole", refs)).ok == 5
    (path,) = (path for path in archive.images() if "large" in path)
    expected = pixels_of(archive.output.fs_path(path)).astype(float)
    archive.output.fs.rm(archive.output.root, recursive=True)
    archive.fuser = cramped(200 * 230)
    assert archive.worker().run(Chunk("part", refs)).ok == 5
    remarks = {name: row["remark"] for name, row in archive.rows().items()}
    assert remarks == {**dict.fromkeys(NAMES), "large": TILED}
    archive.check_image(archive.rows()["large"])
    found = pixels_of(archive.output.fs_path(path)).astype(float)
    assert np.abs(found - expected).max() <= 1  # a network that pools nothing, and rounding


def test_a_pair_that_fits_in_no_tile_is_undone_and_its_neighbours_are_fused(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path), batch_size=8)
    write_pairs(archive.settings.source, ["large", "twin"], (300, 340))
    archive.fuser = cramped(40 * 48)
    refs = pair_refs(archive.settings.source, ["large", *NAMES, "twin"])
    result = archive.worker().run(Chunk("part", refs))
    assert (result.ok, result.failed) == (4, 0)
    assert [(one.ref.pair_id, one.cause) for one in result.undone] == [
        ("large", "memory"),
        ("twin", "memory"),
    ]
    for name in ("large", "twin"):
        row = archive.rows()[name]
        assert blamed(row) == ("undone", "memory", "fuse", "MemoryExhaustedError")
        assert "on cpu for a pair of 340x300 pixels in tiles of 128" in row["error_message"]
        assert row["remark"] is None
    assert len(archive.images()) == 4


def test_memory_that_runs_out_while_decoding_costs_no_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveFixture(str(tmp_path))
    worker, tries = archive.worker(), list[str]()
    load = worker._load

    def narrow(pair: Any) -> None:
        tries.append(pair.ref.pair_id)
        if tries.count("b") == 1 and pair.ref.pair_id == "b":
            raise MemoryError
        load(pair)

    monkeypatch.setattr(worker, "_load", narrow)
    assert worker.run(archive.chunk()).ok == 4
    assert sorted(tries) == sorted([*NAMES, "b"])
    assert tries[-1] == "b"


def test_a_pair_that_hangs_is_an_undone_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveFixture(str(tmp_path), pair_deadline=0.5, io_threads=1)
    over, done = threading.Event(), threading.Event()
    read = archive.source.read

    def hang(path: str, size: int = 0) -> bytes:
        if path == "vi/b.png":
            over.wait(LONG)
            done.set()
        return read(path, size)

    monkeypatch.setattr(archive.source, "read", hang)
    result = archive.worker().run(archive.chunk())
    assert (result.ok, result.failed, len(result.undone)) == (3, 0, 1)
    assert not result.spoiled  # a thread that reads is easily replaced
    row = archive.rows()["b"]
    assert blamed(row) == ("undone", "time", "read", "DeadlineError")
    assert "pair_deadline" in row["error_message"]
    assert 0.5 <= row["seconds_read"] < 10
    over.set()
    assert done.wait(LONG)


# Scenes


class Scenes(SceneFixture):
    """Scenes of 300x340 pixels, of which ``a`` and ``b`` differ."""

    def __init__(self, folder: Path, fuser: NetworkFuser | None = None, **changes: Any):
        super().__init__(folder, fuser=fuser, tile_size=256, **changes)
        for name, seed in (("a", 5), ("b", 8)):
            self.put(name, *scene_bands(seed, (300, 340), bands=1, nodata=None))


def test_a_scene_is_fused_in_smaller_tiles_where_memory_runs_out(tmp_path: Path) -> None:
    expected = Scenes(tmp_path / "whole").fuse_one("a")
    assert expected["remark"] is None
    refused: list[tuple[int, ...]] = []
    archive = Scenes(tmp_path / "cramped", cramped(200 * 230, refused))
    row = archive.fuse_one("a")
    assert row["remark"] == TILED
    assert len(refused) == 1
    whole, tiled = (pixels_of(found["fused_url"]).astype(float) for found in (expected, row))
    assert np.abs(whole - tiled).max() <= 1


def test_a_remark_about_tiles_stands_beside_that_about_the_overlap(tmp_path: Path) -> None:
    archive = Scenes(tmp_path, cramped(200 * 230))
    ir, vi = scene_bands(5, (300, 340), bands=1, nodata=None)
    ir[:50] = 0
    archive.put("c", ir, vi, {"nodata": 0})
    assert archive.fuse_one("c")["remark"] == (
        f"17000 pixels without infrared keep the visible values; {TILED}"
    )


def test_a_scene_that_fits_in_no_tile_is_undone_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    archive = Scenes(tmp_path, cramped(100))
    for row in archive.fuse(archive.ref("a"), archive.ref("b")):
        assert blamed(row) == ("undone", "memory", "fuse", "MemoryExhaustedError")
        assert "a scene of 340x300 pixels in tiles of 128" in row["error_message"]
    assert archive.fused() == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("kind", "method"), [(ScenePair, "read"), (_TileWriter, "write")])
def test_memory_that_runs_out_beside_the_network_is_answered_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type, method: str
) -> None:
    """In the thread that reads, and in the one that writes."""
    archive = Scenes(tmp_path)
    original, calls = getattr(kind, method), []

    def narrow(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise MemoryError
        return original(*args)

    monkeypatch.setattr(kind, method, narrow)
    assert archive.fuse_one("a")["remark"] == TILED


def test_memory_that_runs_out_while_scoring_a_scene_is_what_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Scenes(tmp_path)

    def narrow(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("fusion_core.jobs.scene.score_scene", narrow)
    (row,) = archive.fuse(archive.ref("a"))
    assert blamed(row) == ("undone", "memory", "score", "MemoryExhaustedError")


def test_a_scene_that_takes_too_long_is_given_up_between_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Scenes(tmp_path, pair_deadline=0.3)
    fuse_tiles = SceneWork._fuse_tiles

    def slow(self: SceneWork, scene: Any, *args: Any) -> Any:
        if scene.ref.pair_id == "a":
            time.sleep(0.4)
        return fuse_tiles(self, scene, *args)

    monkeypatch.setattr(SceneWork, "_fuse_tiles", slow)
    rows = {row["pair_id"]: row for row in archive.fuse(archive.ref("a"))}
    assert blamed(rows["a"]) == ("undone", "time", "fuse", "DeadlineError")
    assert "expected all stages within 0.3 s" in rows["a"]["error_message"]
    assert archive.fused() == []


def test_a_header_that_is_never_read_stops_its_pair_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Scenes(tmp_path, pair_deadline=2.0)
    over, done = threading.Event(), threading.Event()
    worker = archive.worker()
    kind_of = worker._kind_of

    def hang(pair: Any) -> str:
        if pair.ref.pair_id == "a":
            over.wait(LONG)
            done.set()
        return kind_of(pair)

    monkeypatch.setattr(worker, "_kind_of", hang)
    monkeypatch.setattr(archive, "worker", lambda: worker)
    found = {row["pair_id"]: row for row in archive.fuse(archive.ref("a"), archive.ref("b"))}
    assert blamed(found["a"]) == ("undone", "time", "read", "DeadlineError")
    assert found["b"]["status"] == "ok", found["b"]["error_message"]
    over.set()
    assert done.wait(LONG)
