"""Clips whose worker dies or is told to stop go on behind the last finished segment."""

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from clips import ClipArchive, frames_of, garble, moving, write_video
from tiny import TODAY

from fusion_core.archive.layout import part_path
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.errors import StorageError, WriteError
from fusion_core.jobs.clip_segment import SegmentWork
from fusion_core.video.segments import SegmentRecord, SegmentStore

Whole = Callable[..., tuple[Any, ...]]
SEGMENTS = 4  # of 23 frames with a key frame every 6


class DeadError(BaseException):
    """Ends a worker as a lost machine does."""


@pytest.fixture
def fused_segments(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first frames of the segments that were fused, one after the other."""
    begun: list[int] = []
    run = SegmentWork.run

    def noted(self: SegmentWork, reading: Any, *arguments: Any) -> None:
        begun.append(reading.start.number)
        run(self, reading, *arguments)

    monkeypatch.setattr(SegmentWork, "run", noted)
    return begun


def put(archive: ClipArchive, damage: bool = False) -> PairRef:
    """Write a clip with sound and few infrared frames, the same whenever it is written."""
    for side in ("ir", "vi"):
        infrared = side == "ir"
        frames = moving(12 if infrared else 23, infrared=infrared)
        rate, sound = (15, None) if infrared else (30, "aac")
        path = archive.path(side)
        write_video(path, frames, codec="libx264", rate=rate, sound=sound, key_every=6)
        if damage and not infrared:
            garble(path)
        os.utime(path, (1e9, 1e9))  # a part of the file's version
    return archive.ref()


def archive_in(folder: Path, **changes: Any) -> ClipArchive:
    return ClipArchive(folder, **{"segment_frames": 5, **changes})


def lose(
    archive: ClipArchive, ref: PairRef, at: int, patch: pytest.MonkeyPatch, *, before: bool = True
) -> None:
    """Have a worker die at a segment, just before or after it is kept."""
    keep, count = SegmentStore.keep, 0

    def call(self: SegmentStore, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if before and count == at:
            raise DeadError
        found = keep(self, *arguments)
        if count == at:
            raise DeadError
        return found

    with patch.context() as patched:
        patched.setattr(SegmentStore, "keep", call)
        with pytest.raises(DeadError):
            archive.fuse(ref)


def outcome(archive: ClipArchive, row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what mustn't depend on who fused a clip."""
    assert row["status"] == "ok", row["error_message"]
    table, strip = pq.read_table(row["frames_url"]), Path(row["quicklook_url"]).read_bytes()
    told = [row[name] for name in ("frames", "frames_unmatched", "ir_frames_unused", "duration")]
    assert not [name for name in archive.objects() if "segment" in name]
    assert len(frames_of(row["fused_url"])) == row["frames"]
    return row["fused_sha256"], Path(row["fused_url"]).read_bytes(), table, strip, told


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """Fuse a clip that nobody disturbs, once for each codec."""

    @cache
    def fused(codec: str = "h264", damage: bool = False) -> tuple[Any, ...]:
        archive = archive_in(tmp_path_factory.mktemp(codec), video_codec=codec)
        return outcome(archive, archive.fuse_one(put(archive, damage)))

    return fused


@pytest.mark.parametrize(
    ("codec", "lost"),
    [("h264", (1, 2, 3)), ("h264", (4,)), ("h265", (2,)), ("ffv1", (3,))],
)
def test_a_clip_whose_workers_died_is_the_same_and_no_segment_is_fused_twice(
    codec: str,
    lost: Sequence[int],
    whole: Whole,
    tmp_path: Path,
    fused_segments: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = whole(codec)
    fused_segments.clear()
    archive, done = archive_in(tmp_path / "parts", video_codec=codec), 0
    ref = put(archive)
    for segment in lost:
        lose(archive, ref, segment - done, monkeypatch)
        done = segment - 1
        assert len([name for name in archive.objects() if name.endswith(".nut")]) == done
    found = outcome(archive, archive.fuse_one(ref))
    assert found == expected
    assert fused_segments == sorted([0, 6, 12, 18, *[6 * (segment - 1) for segment in lost]])


@pytest.mark.parametrize("damage", [False, True], ids=["whole", "damaged"])
def test_a_worker_that_died_behind_a_segment_has_not_lost_it(
    damage: bool,
    whole: Whole,
    tmp_path: Path,
    fused_segments: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = whole(damage=damage)
    fused_segments.clear()
    archive = archive_in(tmp_path / "parts")
    ref = put(archive, damage)
    lose(archive, ref, 2, monkeypatch, before=False)
    assert outcome(archive, archive.fuse_one(ref)) == expected
    assert len(fused_segments) == len({*fused_segments}) > 2


def test_a_worker_that_died_before_its_commit_leaves_the_clip_to_be_joined_again(
    whole: Whole, tmp_path: Path, fused_segments: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole()
    fused_segments.clear()
    archive = archive_in(tmp_path / "parts")
    ref = put(archive)
    with monkeypatch.context() as patch:
        patch.setattr("fusion_core.jobs.worker.commit_part", die)
        with pytest.raises(DeadError):
            archive.fuse(ref)
    assert len(archive.objects()) == 3 + 2 * SEGMENTS
    fused_segments.clear()
    assert outcome(archive, archive.fuse_one(ref)) == expected
    assert fused_segments == []


def die(*_: Any) -> None:
    raise DeadError


def test_a_worker_that_is_told_to_stop_ends_between_segments_and_leaves_the_pair(
    whole: Whole, tmp_path: Path, fused_segments: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole()
    fused_segments.clear()
    archive = archive_in(tmp_path / "parts")
    ref, worker = put(archive), archive.worker()
    keep = SegmentStore.keep

    def kept(self: SegmentStore, record: SegmentRecord, *arguments: Any) -> Any:
        if record.number == 1:
            worker.stopping.set()
        return keep(self, record, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentStore, "keep", kept)
        result = worker.run(Chunk("part", (ref,)))
    assert (result.parts, result.ok, result.left) == ((), 0, (ref,))
    assert not archive.output.exists(part_path(TODAY, "part"))
    assert len(archive.objects()) == 4
    assert outcome(archive, archive.fuse_one(ref)) == expected
    assert fused_segments == [0, 6, 12, 18]


def test_of_two_workers_at_one_clip_the_second_takes_what_the_first_did(
    whole: Whole, tmp_path: Path, fused_segments: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole()
    fused_segments.clear()
    archive = archive_in(tmp_path / "parts")
    ref = put(archive)
    keep, rows = SegmentStore.keep, list[dict[str, Any]]()

    def overtaken(self: SegmentStore, record: SegmentRecord, *arguments: Any) -> Any:
        if record.number == 1 and not rows:
            rows.append({})
            with monkeypatch.context() as patch:
                patch.setattr(SegmentStore, "remove", lambda *_: None)
                rows.append(archive.fuse_one(ref))
        return keep(self, record, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(SegmentStore, "keep", overtaken)
        slow = archive.fuse_one(ref)
    found = outcome(archive, slow)
    assert found == expected
    assert rows[1]["fused_sha256"] == slow["fused_sha256"]
    assert rows[1]["fused_url"] == slow["fused_url"]


def test_settings_that_change_pixels_begin_anew(
    tmp_path: Path, fused_segments: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_in(tmp_path)
    ref = put(archive)
    lose(archive, ref, 3, monkeypatch)
    fused_segments.clear()
    other = archive_in(tmp_path, video_quality=30)
    assert other.fuse_one(ref)["status"] == "ok"
    assert fused_segments == [0, 6, 12, 18]


def test_a_damaged_segment_leaves_a_row_that_says_what_to_remove(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_in(tmp_path)
    ref = put(archive)
    lose(archive, ref, 3, monkeypatch)
    (path, *_) = (archive.folder / "output/fused").rglob("*.nut")
    path.write_bytes(b"planted")
    row = archive.fuse_one(ref)
    assert (row["error_type"], row["stage"]) == (WriteError.__name__, "write")
    assert "Remove it and the segment's record" in row["error_message"]


def test_segments_that_cannot_be_removed_do_not_cost_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise StorageError("read-only")

    monkeypatch.setattr(SegmentStore, "remove", refuse)
    archive = archive_in(tmp_path)
    row = archive.fuse_one(put(archive))
    assert row["status"] == "ok"
    assert len(archive.objects()) == 3 + 2 * SEGMENTS
