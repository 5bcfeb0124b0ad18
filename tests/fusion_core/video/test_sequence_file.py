"""Sequences of images as a side of a clip."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from clips import ClipArchive, moving, write_sequence
from tiny import png

from fusion_core.errors import DecodeError, SourceChangedError
from fusion_core.video.frame import Faults
from fusion_core.video.sequence_file import FrameSequence

IR, VI = "ir/{clip}/{n:frame}.png", "vi/{clip}/{n:frame}.png"


@pytest.fixture
def archive(tmp_path: Path) -> ClipArchive:
    archive = ClipArchive(tmp_path)
    for side in ("ir", "vi"):
        write_sequence(archive.path(side, "a"), moving(6, infrared=side == "ir"))
    return archive


def opened(archive: ClipArchive, rate: float = 10.0, max_megapixels: float = 1.0) -> FrameSequence:
    (ref,) = archive.sequences(IR, VI)
    return FrameSequence(
        archive.source,
        ref.vi_path,
        size=ref.vi_bytes,
        version=ref.vi_version,
        rate=rate,
        max_megapixels=max_megapixels,
    )


def test_a_frames_number_tells_its_time(archive: ClipArchive) -> None:
    archive.path("vi", "a/0003.png").unlink()
    sequence = opened(archive)
    frames = list(sequence.frames(None, Faults()))
    assert [frame.ticks for frame in frames] == [0, 1, 2, 4, 5]
    assert [frame.time for frame in frames] == [Fraction(k, 10) for k in (0, 1, 2, 4, 5)]
    assert all(frame.key for frame in frames)
    for frame, pixels in zip(frames[:3], moving(6), strict=False):
        assert np.array_equal(frame.picture().pixels, pixels)
    later = sequence.frames(Fraction(2, 10), Faults())
    assert [frame.ticks for frame in later] == [2, 4, 5]


def test_its_facts_are_those_of_its_first_image(archive: ClipArchive) -> None:
    facts = opened(archive, rate=29.97).facts
    assert (facts.height, facts.width, facts.bits, facts.grey) == (48, 64, 8, False)
    assert facts.rate == Fraction(30_000, 1001)
    assert facts.time_base == 1 / facts.rate
    assert (facts.rotation, facts.declared) == (0, float(6 * facts.time_base))


def test_grey_images_of_16_bits_are_told(archive: ClipArchive) -> None:
    deep = [frame[..., 0].astype(np.uint16) * 200 for frame in moving(6)]
    write_sequence(archive.path("vi", "a"), deep)
    sequence = opened(archive)
    assert (sequence.facts.bits, sequence.facts.grey) == (16, True)
    (last,) = sequence.frames(Fraction(5, 10), Faults())
    assert np.array_equal(last.picture().pixels, deep[5])


def test_an_image_that_cannot_be_decoded_costs_no_other(archive: ClipArchive) -> None:
    for number in (0, 3):
        archive.path("vi", f"a/000{number}.png").write_bytes(b"no image")
    frames = list(opened(archive).frames(None, Faults()))
    assert len(frames) == 6
    for number, frame in enumerate(frames):
        if number in (0, 3):
            with pytest.raises(DecodeError, match=f"vi/a/000{number}.png"):
                frame.picture()
        else:
            assert frame.picture().pixels.shape == (48, 64, 3)


def test_an_image_of_another_size_is_told_with_both(archive: ClipArchive) -> None:
    archive.path("vi", "a/0002.png").write_bytes(png(moving(1, (32, 40))[0]))
    frames = list(opened(archive).frames(None, Faults()))
    with pytest.raises(DecodeError, match=r"vi/a/0002\.png has 40x32 pixels; expected 64x48"):
        frames[2].picture()


def test_a_sequence_without_any_image_is_refused(archive: ClipArchive) -> None:
    for number in range(6):
        archive.path("vi", f"a/000{number}.png").write_bytes(b"no image")
    with pytest.raises(DecodeError, match=r"none of 6 files of vi/a/\{frame\}\.png is an image: "):
        opened(archive)


def test_frames_that_are_too_large_are_refused(archive: ClipArchive) -> None:
    with pytest.raises(DecodeError, match="none of 6 files"):
        opened(archive, max_megapixels=0.003)


def test_a_sequence_that_changed_is_not_read(archive: ClipArchive) -> None:
    sequence = opened(archive)
    sequence.check()
    frames = list(sequence.frames(None, Faults()))
    archive.path("vi", "a/0002.png").write_bytes(png(moving(3)[0])[:-1] + b"x")
    with pytest.raises(SourceChangedError, match="The next run looks again"):
        sequence.check()
    with pytest.raises(SourceChangedError, match=r"vi/a/0002\.png"):
        frames[2].picture()
