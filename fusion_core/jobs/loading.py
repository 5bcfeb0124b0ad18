"""Reads and decodes the images of a pair, as they were when the archive was listed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusion_core.archive.plan import PairRef
from fusion_core.errors import PairError, ReadError, SameFileError, SizeMismatchError
from fusion_core.images.codecs import decode
from fusion_core.images.colour import luminance
from fusion_core.images.picture import Picture, resize
from fusion_core.storage.errors import as_pair_error, changed, gone
from fusion_core.storage.store import Storage

Stage = Callable[[str], AbstractContextManager[object]]
"""Entered with a stage's name for as long as the stage lasts, by who times or names them."""


@dataclass(frozen=True)
class LoadedPair:
    """The decoded images of a pair, of one size.

    Attributes:
        ir: Infrared image.
        vi: Visible image.
    """

    ir: Picture
    vi: Picture

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.vi.pixels.shape[:2]
        return int(height), int(width)

    def luminances(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Infrared and visible luminance, (H, W) in [0, 1]."""
        return luminance(self.ir.pixels), luminance(self.vi.pixels)


def load_pair(
    ref: PairRef,
    source: Storage,
    *,
    size_mismatch: Literal["error", "resize_ir"],
    max_megapixels: float,
    stage: Stage = nullcontext,
) -> LoadedPair:
    """Read and decode both images of a pair and bring them to one size.

    Args:
        ref: Which pair.
        source: Where its files are.
        size_mismatch: What to do where the images differ in size: fail the pair, or resize the
            infrared one.
        max_megapixels: Larger images are refused.
        stage: Entered for each of the stages read, decode and, where sizes differ, pair.

    Raises:
        PairError: An image can't be read, decoded or paired.
        UnreachableError: The store gives no answer.
    """
    check_two_files(ref)
    with stage("read"):
        bodies = [
            read_listed(source, ref.ir_path, ref.ir_bytes, ref.ir_version),
            read_listed(source, ref.vi_path, ref.vi_bytes, ref.vi_version),
        ]
    with stage("decode"):
        ir, vi = (
            decode_listed(path, body, max_megapixels)
            for path, body in zip((ref.ir_path, ref.vi_path), bodies, strict=True)
        )
    if ir.pixels.shape[:2] != vi.pixels.shape[:2]:
        with stage("pair"):
            height, width = vi.pixels.shape[:2]
            if size_mismatch == "error":
                raise SizeMismatchError(
                    f"infrared is {ir.pixels.shape[1]}x{ir.pixels.shape[0]} and visible "
                    f"{width}x{height}; expected equal sizes. Set size_mismatch to resize_ir if "
                    "both show the same field of view"
                )
            ir = resize(ir, height, width)
    return LoadedPair(ir, vi)


def check_two_files(ref: PairRef) -> None:
    """Raise SameFileError where both sides of a pair are one file."""
    if ref.ir_path == ref.vi_path:
        raise SameFileError(
            f"both sides are the one file {ref.ir_path}; expected an infrared and a visible one, "
            "since a file fused with itself scores best and shows nothing. Correct the index; take "
            "a file of four channels apart first"
        )


def read_listed(source: Storage, path: str, size: int, version: str) -> bytes:
    """Read a file and check that it still is what was listed.

    Raises:
        ReadError: It is gone, has changed, or the store failed at it.
        UnreachableError: The store gives no answer, which is no fault of the file.
    """
    try:
        with as_pair_error(ReadError):
            body = source.read(path, size)
            same = len(body) == size and source.is_version(path, body, version)
    except ReadError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        raise gone(path) from error
    if not same:
        raise changed(path, len(body), size)
    return body


def decode_listed(path: str, body: bytes, max_megapixels: float) -> Picture:
    """Decode an image file as ``decode`` does, with its path in errors.

    Raises:
        PairError: The file can't be decoded.
    """
    try:
        return decode(body, max_megapixels)
    except PairError as error:
        raise type(error)(f"{path}: {error}") from error
