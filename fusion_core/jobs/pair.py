"""The stages of one pair: read, decode, (fuse,) encode, score, write.

Fusing itself happens in batches and lives in ``jobs.fusion_worker``; everything here is a
plain function of one pair, run in threads. Scoring alone is in ``jobs.scoring_worker``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.archive.plan import PairRef
from fusion_core.errors import PairError, ReadError, SizeMismatchError, WriteError
from fusion_core.images.codecs import decode, encode
from fusion_core.images.colour import luminance, replace_luminance
from fusion_core.images.picture import Picture, resize
from fusion_core.metrics.columns import score_columns
from fusion_core.settings.fuse import ImageSettings
from fusion_core.settings.run import PairSettings
from fusion_core.storage.errors import as_pair_error, changed, gone
from fusion_core.storage.retry import RetryCount, counted_by
from fusion_core.storage.store import Storage


@dataclass
class PairState:
    """One pair on its way through the stages.

    Attributes:
        ref: Which pair.
        stage: The stage that it is in, for the row of a failure.
        seconds: Time spent, by stage.
        started: When its first stage began (UTC); None before.
        ended: When its last stage ended (UTC); set by ``end``.
        repeated: Counts the calls to the stores that had to be made again.
        ir: Infrared image; set by ``load_pair``, dropped by ``end``.
        vi: Visible image; likewise.
    """

    ref: PairRef
    stage: str = "read"
    seconds: dict[str, float] = field(default_factory=dict)
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    repeated: RetryCount = field(default_factory=RetryCount)
    ir: Picture | None = None
    vi: Picture | None = None

    def end(self) -> None:
        """Note the time and let go of the pixels; the rest waits for the chunk's commit."""
        self.ended = dt.datetime.now(dt.UTC)
        self.ir = self.vi = None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Enter a stage and add up its time."""
        self.stage = stage
        self.started = self.started or dt.datetime.now(dt.UTC)
        begin = time.perf_counter()
        try:
            with counted_by(self.repeated):
                yield
        finally:
            spent = time.perf_counter() - begin
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    @property
    def pictures(self) -> tuple[Picture, Picture]:
        """Infrared and visible image of a loaded pair."""
        assert self.ir is not None
        assert self.vi is not None
        return self.ir, self.vi

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a loaded pair."""
        height, width = self.pictures[1].pixels.shape[:2]
        return int(height), int(width)

    def luminances(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Infrared and visible luminance, (H, W) in [0, 1]."""
        ir, vi = self.pictures
        return luminance(ir.pixels), luminance(vi.pixels)


def load_pair(
    pair: PairState, source: Storage, settings: PairSettings, max_megapixels: float
) -> None:
    """Read and decode both images of a pair and bring them to one size.

    Raises:
        PairError: What can't be read, decoded or paired.
    """
    ref = pair.ref
    with pair.timed("read"):
        bodies = [
            read_listed(source, ref.ir_path, ref.ir_bytes, ref.ir_version),
            read_listed(source, ref.vi_path, ref.vi_bytes, ref.vi_version),
        ]
    with pair.timed("decode"):
        ir, vi = (
            decode_listed(path, body, max_megapixels)
            for path, body in zip((ref.ir_path, ref.vi_path), bodies, strict=True)
        )
    if ir.pixels.shape[:2] != vi.pixels.shape[:2]:
        pair.stage = "pair"
        height, width = vi.pixels.shape[:2]
        if settings.size_mismatch == "error":
            raise SizeMismatchError(
                f"infrared is {ir.pixels.shape[1]}x{ir.pixels.shape[0]} and visible "
                f"{width}x{height}; expected equal sizes. Set size_mismatch to resize_ir if both "
                "show the same field of view"
            )
        ir = resize(ir, height, width)
    pair.ir, pair.vi = ir, vi


def finish_pair(
    pair: PairState,
    fused: NDArray[np.float32],
    output: Storage,
    path: str,
    settings: ImageSettings,
    device: str,
) -> dict[str, Any]:
    """Put the colour back, encode, score and write a fused image.

    The image is created exclusively. Where one lies there already (a run that was stopped between
    image and commit, or a second run at the same moment), that one stays and is what the row
    describes, so that no row ever names bytes that change.

    Args:
        pair: A loaded pair.
        fused: Fused luminance, (H, W) in [0, 1].
        output: Where to write.
        path: The image's path below the output.
        settings: Format and quality.
        device: Where to compute the metrics.

    Returns:
        The columns of the manifest that describe the image and its scores.

    Raises:
        PairError: What can't be encoded, scored or written.
    """
    ir, vi = pair.pictures
    with pair.timed("encode"):
        picture = Picture(replace_luminance(vi.pixels, fused), vi.alpha)
        body = encode(picture, settings)
    with pair.timed("write"), as_pair_error(WriteError):
        if not output.create(path, body):
            body = _keep_stored(output, path, body, pair.shape)
    with pair.timed("score"):
        # The scores are those of the stored file, which a lossy format or an earlier run's image
        # makes another one than the array at hand.
        stored = decode(body)
        scores = score_columns(ir.pixels, vi.pixels, stored.pixels, device)
    return {
        "fused_url": output.url(path),
        "fused_sha256": hashlib.sha256(body).hexdigest(),
        "fused_bytes": len(body),
        "fused_format": settings.format,
        "height": stored.pixels.shape[0],
        "width": stored.pixels.shape[1],
        "bit_depth": stored.bit_depth,
        **scores,
    }


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
    """Decode an image file as ``decode`` does, with its path in errors."""
    try:
        return decode(body, max_megapixels)
    except PairError as error:
        raise type(error)(f"{path}: {error}") from error


def _keep_stored(output: Storage, path: str, body: bytes, shape: tuple[int, int]) -> bytes:
    """Return the bytes at ``path``; replace them first if they are no image of the pair's size."""
    stored = output.read(path)
    try:
        fits = decode(stored).pixels.shape[:2] == shape
    except PairError:
        fits = False
    if not fits:
        output.write(path, body)
    return stored if fits else body
