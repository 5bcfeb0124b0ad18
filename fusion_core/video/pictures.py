"""Takes one frame of a clip and of what was made of it, for the sheets of a run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from fractions import Fraction

from fusion_core.archive.clip_names import is_clip
from fusion_core.archive.sequence import frames_of, is_sequence, split_sequence
from fusion_core.errors import DecodeError
from fusion_core.images.codecs import decode_listed
from fusion_core.images.colour import Pixels
from fusion_core.images.picture import Picture, reduced, resize
from fusion_core.storage.stored_file import StoredFile
from fusion_core.video.frame import Faults, as_shown
from fusion_core.video.video_file import VideoFile

_MOST_MEGAPIXELS = 178.0


def clip_pictures(files: Sequence[StoredFile], size: tuple[int, int]) -> list[Pixels] | None:
    """Return a frame from the middle of each file of a clip; None where it is no clip.

    Args:
        files: The infrared and the visible side, and what was fused of them.
        size: Height and width that pictures are reduced to, where they are much larger.
    """
    if not is_clip(*(file.path for file in files[:2])):
        return None
    ir, vi, *fused = (reduced(_middle(file), *size) for file in files)
    height, width = vi.pixels.shape[:2]
    if ir.pixels.shape[:2] != (height, width):
        ir = resize(ir, height, width)
    return [picture.pixels for picture in (ir, vi, *fused)]


def _middle(file: StoredFile) -> Picture:
    """Return the frame in the middle of a video or sequence, or the next that can be decoded."""
    if is_sequence(file.path):
        listing = file.storage.list(split_sequence(file.path)[0])
        frames = frames_of(listing, file.path).sort_by("number")
        if not len(frames):
            raise FileNotFoundError(file.path)
        path = frames["path"][len(frames) // 2].as_py()
        return decode_listed(path, file.storage.read(path), _MOST_MEGAPIXELS)
    size, version = file.check()
    video = VideoFile(
        file.storage, file.path, size=size, version=version, max_megapixels=_MOST_MEGAPIXELS
    )
    declared = Fraction(video.facts.declared or 0)
    for time in (video.facts.begins + declared / 2, None):
        frames = video.frames(time, Faults())
        with closing(frames):  # type: ignore[type-var]
            if (frame := next(frames, None)) is not None:
                return as_shown(frame.picture(), video.facts.rotation)
    raise DecodeError(f"no frame of {file.path} can be decoded")
