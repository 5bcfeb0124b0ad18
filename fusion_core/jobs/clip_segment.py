"""Fuses one segment of a clip: reading, fusing, encoding and scoring go on side by side."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.errors import OverlapError
from fusion_core.images.pair import PicturePair
from fusion_core.images.picture import Picture
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.pipeline_threads import compute_alone, compute_on
from fusion_core.metrics import METRIC_NAMES, to_grey255
from fusion_core.metrics.columns import score_columns
from fusion_core.metrics.scaling import Scaling
from fusion_core.video.ahead import Ahead
from fusion_core.video.clip import Clip, ClipFrame, SegmentReading
from fusion_core.video.encoding import Encoding, SegmentEncoder
from fusion_core.video.segments import FrameRow, SegmentRecord
from fusion_core.video.steady import SteadyFuser

_WAITING = 3  # frames between two stages
_SCORERS = 2

Plane = NDArray[np.float32]


class StageClock:
    """Adds up the time that stages of a clip take in their threads.

    Args:
        pair: The clip's state, which keeps the sums, and the stage of a failure.
    """

    def __init__(self, pair: PairState):
        self._pair, self._lock = pair, threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Time what is done inside the block."""
        begin = time.perf_counter()
        try:
            yield
        except BaseException:
            self._pair.stage = stage
            raise
        finally:
            spent = time.perf_counter() - begin
            with self._lock:
                seconds = self._pair.seconds
                seconds[stage] = seconds.get(stage, 0.0) + spent


@dataclass(frozen=True)
class _Fused:
    """A frame that is fused, or kept as it is where its pictures are None.

    Attributes:
        frame: The frame.
        luminance: The fused luminance in [0, 1], (H, W).
        cut: Whether it is the first after a cut.
    """

    frame: ClipFrame
    luminance: Plane | None = None
    cut: bool = False


@dataclass(frozen=True)
class _Scorable:
    """What is kept of a fused frame until it comes out of the encoder: the less, the better.

    Attributes:
        row: Its row, but for the scores.
        ir: Infrared grey values, (H, W).
        vi: Visible ones.
        valid: Which pixels are scored; None for all.
        scaling: What becomes black and white of the stored frame.
    """

    row: FrameRow
    ir: NDArray[np.uint8]
    vi: NDArray[np.uint8]
    valid: NDArray[np.bool_] | None
    scaling: Scaling

    @classmethod
    def of(cls, one: _Fused, pictures: PicturePair) -> _Scorable:
        """Take it of a fused frame."""
        ir, vi = pictures.ir.grey255(), pictures.vi.grey255()
        return cls(_row(one), ir, vi, pictures.valid, pictures.vi.scaling)


@dataclass
class SegmentWork:
    """What is done to the frames of one segment.

    Attributes:
        clip: The clip.
        fuser: What fuses.
        encoding: How its frames are encoded.
        unmatched: What becomes of a visible frame without an infrared one.
        device: Where metrics are computed.
        clock: Times the stages.
        alive: Called for each frame that is done; raises where there is no time left.
        waiting: Frames that are encoded and not scored yet, by their time in ticks; None for one
            that wasn't fused.
        overlaps: Sum over the fused frames of the share of pixels that was fused.
    """

    clip: Clip
    fuser: SteadyFuser
    encoding: Encoding
    unmatched: str
    device: str
    clock: StageClock
    alive: Callable[[int], None]
    waiting: dict[int, _Scorable | None] = field(default_factory=dict)
    overlaps: float = 0.0

    def run(self, reading: SegmentReading, record: SegmentRecord, path: Path) -> None:
        """Fuse a segment into a file, and note in its record what is to be known of its frames.

        Raises:
            PairError: A frame can't be read, paired, fused, encoded or scored.
            UnreachableError: The store gives no answer.
        """
        # As in the pipeline of photographs: one thread computes on all cores of the worker.
        cores = torch.get_num_threads()
        alone, together = partial(compute_alone, cores), partial(compute_on, cores)
        with (
            Ahead(lambda: self._read(reading), _WAITING, "read", begin=alone) as loaded,
            Ahead(lambda: self._fuse(loaded), _WAITING, "fuse", begin=together) as fused,
            Ahead(
                lambda: self._encode(fused, path, record), _WAITING, "encode", begin=alone
            ) as stored,
            ThreadPoolExecutor(_SCORERS, "score", initializer=alone) as scorers,
        ):
            rows = list(self._scored(stored, scorers))
        record.rows = sorted([*record.rows, *rows], key=lambda row: row.frame)
        record.following = reading.following
        record.ir_faults, record.vi_faults = reading.ir_faults, reading.vi_faults
        record.ir_unused, record.ir_last = reading.ir_unused, reading.ir_last
        record.smallest_tile, record.overlaps = self.fuser.smallest, self.overlaps

    def _read(
        self, reading: SegmentReading
    ) -> Iterator[tuple[ClipFrame, tuple[Plane, Plane] | None]]:
        frames = self.clip.read(reading)
        try:
            while True:
                with self.clock("decode"):
                    frame = next(frames, None)
                    if frame is None:
                        return
                    pictures = frame.pictures
                    planes = None if pictures is None else pictures.luminances()
                yield frame, planes
        finally:
            frames.close()  # type: ignore[attr-defined]

    def _fuse(
        self, loaded: Iterable[tuple[ClipFrame, tuple[Plane, Plane] | None]]
    ) -> Iterator[_Fused]:
        for frame, planes in loaded:
            if planes is None:
                if self.unmatched == "fail":
                    raise OverlapError(
                        f"the visible frame at {float(frame.vi.time):.3f} s has no infrared one "
                        f"within {float(self.clip.tolerance):.3f} s; expected one for each. Set "
                        "unmatched_frames to keep or drop, or a larger frame_tolerance"
                    )
                yield _Fused(frame)
                continue
            assert frame.pictures is not None
            self.overlaps += frame.pictures.overlap
            with self.clock("fuse"):
                luminance, cut = self.fuser.fuse(*planes)
            yield _Fused(frame, luminance, cut)

    def _encode(
        self, fused: Iterable[_Fused], path: Path, record: SegmentRecord
    ) -> Iterator[tuple[_Scorable, Picture]]:
        """Yield the frames as they are stored, those that were fused."""
        encoder = SegmentEncoder(path, self.encoding)
        try:
            for one in fused:
                frame = one.frame
                if one.luminance is None:
                    record.rows.append(_row(one))
                    if self.unmatched == "drop":
                        continue
                with self.clock("encode"):
                    picture, scorable = frame.vi_picture, None
                    if frame.pictures is not None and one.luminance is not None:
                        picture = frame.pictures.fused(one.luminance)
                        scorable = _Scorable.of(one, frame.pictures)
                    self.waiting[frame.vi.ticks] = scorable
                    record.written += 1
                    came = list(encoder.add(picture, frame.vi.ticks))
                yield from self._as_stored(came)
            with self.clock("encode"):
                came = list(encoder.finish())
            yield from self._as_stored(came)
        finally:
            encoder.close()

    def _as_stored(
        self, came: Iterable[tuple[int, Picture]]
    ) -> Iterator[tuple[_Scorable, Picture]]:
        for ticks, picture in came:
            scorable = self.waiting.pop(ticks)
            if scorable is not None:
                yield scorable, picture

    def _scored(
        self, stored: Iterable[tuple[_Scorable, Picture]], scorers: ThreadPoolExecutor
    ) -> Iterator[FrameRow]:
        scoring: deque[Future[FrameRow]] = deque()
        for count, (one, picture) in enumerate(stored, start=1):
            scoring.append(scorers.submit(self._score, one, picture))
            if len(scoring) > 2 * _SCORERS:
                yield scoring.popleft().result()
            self.alive(count)
        while scoring:
            yield scoring.popleft().result()

    def _score(self, one: _Scorable, picture: Picture) -> FrameRow:
        with self.clock("score"):
            fused = to_grey255(picture.pixels, one.scaling)
            scores = score_columns(one.ir, one.vi, fused, self.device, valid=one.valid)
        undefined = scores["metrics_undefined"]
        kept = {name: scores[name] for name in METRIC_NAMES}
        return replace(one.row, scores=kept, undefined=undefined)


def _row(one: _Fused) -> FrameRow:
    frame = one.frame
    return FrameRow(
        frame=frame.number,
        time=float(frame.vi.time),
        ir_time=None if frame.ir_time is None else float(frame.ir_time),
        cut=one.cut,
        scores={},
    )
