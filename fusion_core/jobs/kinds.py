"""Tells what a pair is: photographs, a scene or a clip, by its names and by what its files hold."""

from __future__ import annotations

from typing import Literal, get_args

from fusion_core.archive.clip_names import is_clip
from fusion_core.archive.plan import PairRef
from fusion_core.errors import PairError, ReadError, UnreachableError
from fusion_core.scenes.probe import is_scene, is_scene_inside
from fusion_core.storage.store import Storage
from fusion_core.video.kinds import is_video_inside

Kind = Literal["photograph", "scene", "clip"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class OtherInsideError(PairError):
    """A file with a photograph's name holds a scene or a video."""

    stage = "read"

    def __init__(self, path: str, kind: Kind):
        super().__init__(f"{path} holds a {kind}")
        self.kind = kind


def kind_of(source: Storage, ref: PairRef, max_megapixels: float) -> Kind:
    """Return what a pair is by its names, and by the headers of files that may be scenes.

    Raises:
        ReadError: A file is gone, or the store or the machine fails.
        UnreachableError: The store gives no answer.
    """
    if is_clip(ref.ir_path, ref.vi_path):
        return "clip"
    try:
        scene = is_scene(source, ref, max_megapixels)
    except (ReadError, UnreachableError):
        raise
    except Exception:
        return "scene"  # what is wrong with it will be said again where it counts
    return "scene" if scene else "photograph"


def check_photograph(path: str, body: bytes, max_megapixels: float) -> None:
    """Raise OtherInsideError where a file that was read as a photograph's is another's."""
    if is_scene_inside(path, body, max_megapixels):
        raise OtherInsideError(path, "scene")
    if is_video_inside(body):
        raise OtherInsideError(path, "clip")
