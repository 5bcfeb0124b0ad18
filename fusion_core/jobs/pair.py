"""A pair on its way through its stages, and the last of them: encode, write and score.

The first ones, read and decode, are in ``jobs.loading``. Fusing happens in batches, in
``jobs.fusion_worker``.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.archive.layout import path_beside
from fusion_core.archive.plan import PairRef
from fusion_core.errors import WriteError
from fusion_core.images.codecs import LOSSLESS, decode, encode
from fusion_core.images.pair import PicturePair
from fusion_core.jobs.registering import UNSEEN, Registered
from fusion_core.jobs.warned import PAIR_AT_WORK
from fusion_core.metrics.columns import score_columns
from fusion_core.settings.fuse import ImageSettings
from fusion_core.storage.errors import as_pair_error
from fusion_core.storage.local import file_sha256
from fusion_core.storage.retry import RetryCount, counted_by
from fusion_core.storage.store import Storage


@dataclass
class PairState:
    """The state of a pair on its way through its stages.

    Attributes:
        ref: Which pair.
        stage: The stage that it is in, for the row of a failure.
        seconds: Time spent, by stage.
        started: When its first stage began (UTC); None before.
        ended: When its last stage ended (UTC); set by ``end``.
        repeated: Number of calls to the stores that had to be made again.
        loaded: Its images; set by whoever loads them, dropped by ``end``.
        allowed: Seconds that a scene may take for its size; None until that is known.
        registered: What registration found of it.
    """

    ref: PairRef
    stage: str = "read"
    seconds: dict[str, float] = field(default_factory=dict)
    started: dt.datetime | None = None
    ended: dt.datetime | None = None
    repeated: RetryCount = field(default_factory=RetryCount)
    loaded: PicturePair | None = None
    allowed: float | None = None
    registered: Registered = UNSEEN

    def end(self) -> None:
        """Note the time and let go of the pixels; the rest waits for the chunk's commit."""
        self.ended = dt.datetime.now(dt.UTC)
        self.loaded = None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Enter a stage and add up its time."""
        self.stage = stage
        self.started = self.started or dt.datetime.now(dt.UTC)
        token = PAIR_AT_WORK.set(self.ref.pair_id)
        begin = time.perf_counter()
        try:
            with counted_by(self.repeated):
                yield
        finally:
            PAIR_AT_WORK.reset(token)
            spent = time.perf_counter() - begin
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    @property
    def pictures(self) -> PicturePair:
        """The images of a loaded pair."""
        assert self.loaded is not None
        return self.loaded

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of a loaded pair."""
        height, width = self.pictures.vi.picture.pixels.shape[:2]
        return int(height), int(width)


def finish_pair(
    pair: PairState,
    fused: NDArray[np.float32],
    output: Storage,
    *,
    path: str,
    settings: ImageSettings,
    device: str,
) -> dict[str, Any]:
    """Put the colour back, encode, score and write a fused image.

    The image is created exclusively, and what lies there already is not trusted: see
    ``create_image``.

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
        PairError: The image can't be encoded, scored or written.
        UnreachableError: The store gives no answer.
    """
    pictures = pair.pictures
    with pair.timed("encode"):
        picture = pictures.fused(fused)
        body = encode(picture, settings)
    with pair.timed("write"), as_pair_error(WriteError):
        path = create_image(output, path, body)
    with pair.timed("score"):
        # The scores are those of the stored file. A lossless one holds the pixels at hand.
        stored = picture if settings.format in LOSSLESS else decode(body)
        scores = score_columns(*pictures.greys(stored.pixels), device, valid=pictures.valid)
    return {
        "fused_url": output.url(path),
        "fused_sha256": hashlib.sha256(body).hexdigest(),
        "fused_bytes": len(body),
        "fused_format": settings.format,
        "height": stored.pixels.shape[0],
        "width": stored.pixels.shape[1],
        "bit_depth": stored.bit_depth,
        **scaling_columns(pictures),
        **scores,
    }


def scaling_columns(pictures: PicturePair) -> dict[str, Any]:
    """Return the columns of what the images' values became, and of how much was fused."""
    sides = {"ir": pictures.ir, "vi": pictures.vi}
    columns: dict[str, Any] = {"overlap": pictures.overlap}
    for name, side in sides.items():
        columns |= {
            f"{name}_scaling": side.scaling_name,
            f"{name}_low": side.scaling.low,
            f"{name}_high": side.scaling.high,
        }
    return columns


def create_image(output: Storage, path: str, body: bytes) -> str:
    """Create an image, and return the path that it has then.

    Where the same bytes lie there already (a run was stopped between image and commit), they are
    the image. Where others do, whoever wrote them, they stay as they are, since a row may name
    them, and this one gets a path of its own: no bytes are adopted that weren't computed here.

    Raises:
        StorageError: The store failed.
    """
    if output.create(path, body):
        return path
    own = path_beside(path, hashlib.sha256(body).hexdigest())
    if not output.create(own, body):
        raise _taken(output, own)
    return own


def create_image_file(output: Storage, path: str, local: Path) -> str:
    """Create a fused scene or clip, as ``create_image`` does, and return the path that it has.

    Raises:
        WriteError: The store failed, or a name is taken by other bytes.
        UnreachableError: The store gives no answer.
    """
    with as_pair_error(WriteError):
        if output.create_file(path, local):
            return path
        own = path_beside(path, file_sha256(local))
        if output.create_file(own, local):
            return own
    raise _taken(output, own)


def _taken(output: Storage, path: str) -> WriteError:
    return WriteError(
        f"{output.url(path)} holds other bytes than its name says; expected those of this pair. "
        "Remove it, and see who can write to the output"
    )
