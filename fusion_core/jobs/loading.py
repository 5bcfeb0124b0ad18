"""Reads and decodes the images of a pair, as they were when the archive was listed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from fusion_core.archive.clip_names import is_video_name
from fusion_core.archive.plan import PairRef
from fusion_core.archive.sequence import is_sequence
from fusion_core.errors import DecodeError, OverlapError, SameFileError, SizeMismatchError
from fusion_core.images.codecs import decode_listed
from fusion_core.images.pair import PicturePair, without_nodata
from fusion_core.images.picture import resize
from fusion_core.images.samples import check_nodata
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.storage.reading import read_listed
from fusion_core.storage.store import Storage

Stage = Callable[[str], AbstractContextManager[object]]
"""Entered with a stage's name for as long as the stage lasts, by who times or names them."""


def load_pair(
    ref: PairRef,
    source: Storage,
    *,
    settings: ScalingSettings,
    max_megapixels: float,
    stage: Stage = nullcontext,
    look: Callable[[str, bytes], None] | None = None,
) -> PicturePair:
    """Read and decode both images of a pair and bring them to one size.

    Args:
        ref: Which pair.
        source: Where its files are.
        settings: What their values become, and what to do where they differ in size: fail the
            pair, or resize the infrared one.
        max_megapixels: Larger images are refused.
        look: Called with the path and the bytes of each file before any is decoded.
        stage: Entered for each of the stages read, decode and, where sizes differ, pair.

    Raises:
        PairError: An image can't be read, decoded or paired.
        UnreachableError: The store gives no answer.
    """
    check_two_files(ref)
    _check_files(ref)
    with stage("read"):
        bodies = [
            read_listed(source, ref.ir_path, ref.ir_bytes, ref.ir_version),
            read_listed(source, ref.vi_path, ref.vi_bytes, ref.vi_version),
        ]
        for path, body in zip((ref.ir_path, ref.vi_path), bodies, strict=True):
            if look is not None:
                look(path, body)
    with stage("decode"):
        ir, vi = (
            decode_listed(path, body, max_megapixels)
            for path, body in zip((ref.ir_path, ref.vi_path), bodies, strict=True)
        )
        check_nodata(settings.nodata_value, *(str(side.pixels.dtype) for side in (ir, vi)))
    if ir.pixels.shape[:2] != vi.pixels.shape[:2]:
        with stage("pair"):
            height, width = vi.pixels.shape[:2]
            if settings.size_mismatch == "error":
                raise SizeMismatchError(
                    f"infrared is {ir.pixels.shape[1]}x{ir.pixels.shape[0]} and visible "
                    f"{width}x{height}; expected equal sizes. Set size_mismatch to resize_ir if "
                    "both show the same field of view"
                )
            ir = resize(without_nodata(ir, settings.nodata_value), height, width)
    pair = PicturePair.of(ir, vi, settings)
    if pair.valid is not None and not pair.valid.any():
        raise OverlapError(
            f"{ref.ir_path} and {ref.vi_path} show something at no common pixel; expected some. "
            "Check their transparency, the nodata setting, and which files were paired"
        )
    return pair


def _check_files(ref: PairRef) -> None:
    """Raise DecodeError where a side of a pair is no file at all."""
    for path in (ref.ir_path, ref.vi_path):
        if is_sequence(path):
            raise DecodeError(
                f"{path} is a sequence of frames; expected an image here. Take sequences as clips, "
                "or name a template without a frame, by which each image is a pair"
            )
        if is_video_name(path):
            raise DecodeError(
                f"{path} is called as a video; expected an image here, for videos are fused and "
                "not trained on or scored anew. Take a template that names images"
            )


def check_two_files(ref: PairRef) -> None:
    """Raise SameFileError where both sides of a pair are one file."""
    if ref.ir_path == ref.vi_path:
        raise SameFileError(
            f"both sides are the one file {ref.ir_path}; expected an infrared and a visible one, "
            "since a file fused with itself scores best and shows nothing. Correct the index; take "
            "a file of four channels apart first"
        )
