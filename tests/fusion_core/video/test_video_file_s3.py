"""Videos in a store are read by range, in memory that doesn't grow with their length."""

import tracemalloc
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clips import video_file, write_video

from fusion_core.errors import SourceChangedError
from fusion_core.storage.store import Storage
from fusion_core.video.frame import Faults
from fusion_core.video.video_file import BLOCK, VideoFile

pytestmark = pytest.mark.s3
COUNT, SIZE = 80, (512, 768)  # 47 MB, and at most 16 MB are kept


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video whose frames take what their pixels take, each of one grey."""
    frames = [np.full((*SIZE, 3), 40 + 2 * number, np.uint8) for number in range(COUNT)]
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    return write_video(path, frames, codec="rawvideo", key_every=1)


@pytest.fixture
def storage(s3_bucket: str) -> Storage:
    return Storage(f"s3://{s3_bucket}/archive")


def ranges(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Note how many bytes each request asks for."""
    asked: list[int] = []
    real = storage.fs._call_s3

    async def counted(method: Any, *arguments: Any, **fields: Any) -> Any:
        if "Range" in fields:
            first, last = fields["Range"].removeprefix("bytes=").split("-")
            asked.append(int(last) + 1 - int(first))
        return await real(method, *arguments, **fields)

    monkeypatch.setattr(storage.fs, "_call_s3", counted)
    return asked


def test_the_end_of_a_long_video_is_reached_without_reading_the_rest(
    storage: Storage, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_file("long.mkv", long)
    asked = ranges(storage, monkeypatch)
    video = video_file(storage, "long.mkv")
    frames = list(video.frames(Fraction(COUNT - 3, 25), Faults()))
    greys = [float(frame.picture().pixels.mean()) for frame in frames]
    assert greys == pytest.approx([40 + 2 * number for number in range(COUNT - 3, COUNT)], abs=2)
    assert 0 < sum(asked) < long.stat().st_size / 4
    assert max(asked) <= BLOCK


def test_a_long_video_is_gone_through_in_memory_of_some_blocks(
    storage: Storage, long: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_file("long.mkv", long)
    video = video_file(storage, "long.mkv")
    asked = ranges(storage, monkeypatch)
    tracemalloc.start()
    count = sum(1 for _ in video.frames(None, Faults()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == COUNT
    assert peak < 24 * BLOCK < long.stat().st_size / 1.5
    assert sum(asked) < 1.2 * long.stat().st_size


def test_a_video_that_changes_while_it_is_read_is_told(storage: Storage, long: Path) -> None:
    storage.write_file("long.mkv", long)
    video = video_file(storage, "long.mkv")
    frames = video.frames(None, Faults())
    with closing(frames):  # type: ignore[type-var]
        next(frames)
        storage.write("long.mkv", long.read_bytes()[:-1] + b"x")
        with pytest.raises(SourceChangedError, match=r"long\.mkv"):
            list(frames)
    with pytest.raises(SourceChangedError, match=r"long\.mkv"):
        video.check()
    assert isinstance(video, VideoFile)
