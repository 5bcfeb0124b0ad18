"""Fuses a clip: from two videos to a stored one with its frames' scores and a strip of pictures."""

from __future__ import annotations

import hashlib
import logging
import math
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from fusion_core.archive.layout import fused_path
from fusion_core.archive.plan import PairRef
from fusion_core.errors import WriteError
from fusion_core.jobs.cameras import Cameras
from fusion_core.jobs.clip_registering import SAMPLES, register_clip
from fusion_core.jobs.clip_row import clip_columns, clip_remark
from fusion_core.jobs.clip_segment import SegmentWork, StageClock
from fusion_core.jobs.clip_strip import draw_strip
from fusion_core.jobs.failure import deadline_error
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.pair import PairState, create_image_file
from fusion_core.jobs.registering import UNSEEN, Registered, moved, register_by_camera
from fusion_core.jobs.remarks import join_remarks
from fusion_core.models.arithmetic import arithmetic_of
from fusion_core.models.memory import smaller_tile
from fusion_core.models.tiling.room import Room
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.errors import as_pair_error
from fusion_core.storage.scratch import scratch_folder
from fusion_core.storage.store import Storage
from fusion_core.video.clip import Clip, SegmentReading, SegmentStart, nothing_matches
from fusion_core.video.encoding import CONTAINER, Encoding
from fusion_core.video.frame_table import frame_table
from fusion_core.video.joining import join
from fusion_core.video.segments import SegmentRecord, SegmentStore
from fusion_core.video.steady import SteadyFuser, SteadyState

log = logging.getLogger(__name__)
_PROGRESS_SECONDS = 15.0
_PIXELS = 100_000_000
"""Pixels that a clip may take the deadline of one pair for, as a scene may."""


FinishedSegments = tuple[SegmentStore, list[SegmentRecord]]
"""The segments of a finished clip, to be removed once its row is committed."""


class ClipStoppedError(Exception):
    """The worker was told to stop between two segments; what is done of the clip is kept."""


class ClipWork:
    """Fuses clips, one at a time, in memory bounded by some frames.

    Args:
        source: Where the pairs are.
        output: Where fused clips go.
        room: What fuses, and what of it fits into memory.
        settings: The run's settings.
        run: The run's identity.
        stopping: Once it is set, no further segment is begun.
        cameras: What is known of cameras that never move; None where nothing is asked of them.
    """

    def __init__(
        self,
        source: Storage,
        output: Storage,
        *,
        room: Room,
        settings: FuseArchiveSettings,
        run: RunIdentity,
        stopping: threading.Event,
        cameras: Cameras | None = None,
    ):
        self.source, self.output, self.room = source, output, room
        self.settings, self.run, self.stopping = settings, run, stopping
        self.cameras = cameras

    def fuse(
        self, pair: PairState, *, in_tiles: bool = False
    ) -> tuple[dict[str, Any], FinishedSegments]:
        """Fuse, write and score a clip, or what of it no earlier worker did.

        Args:
            pair: Which clip.
            in_tiles: Whether frames are fused in small tiles, because memory ran out for it in
                another worker.

        Returns:
            The columns of the manifest that describe the fused clip and its scores, and its
            segments, which are to be removed once these are committed.

        Raises:
            PairError: It can't be read, decoded, paired, fused, encoded, written or scored.
            UnreachableError: A store gives no answer.
            ClipStoppedError: The worker was told to stop.
        """
        settings, clock = self.settings, StageClock(pair)
        with pair.timed("read"):
            clip = Clip(self.source, pair.ref, settings)
        with pair.timed("pair"):
            registered = self._register(pair.ref, clip)
            registered.check()
        encoding = Encoding.like(clip.vi.facts, settings.video_codec, settings.video_quality)
        path = self.path(pair.ref)
        store = self.segments(path)
        with scratch_folder() as folder:
            with as_pair_error(WriteError):
                records, state = store.known()
            if records:
                log.info("clip %s: goes on behind segment %d", pair.ref.pair_id, len(records))
            while not records or records[-1].following is not None:
                if self.stopping.is_set():
                    raise ClipStoppedError
                start = records[-1].following if records else None
                work = self._segment_work(clip, encoding, state, pair, clock, in_tiles=in_tiles)
                record = SegmentRecord(len(records))
                local = folder / "segment.nut"
                begin = SegmentStart() if start is None else start
                work.run(SegmentReading(begin), record, local)
                with pair.timed("read"):
                    clip.check()
                with pair.timed("write"):
                    record, state = store.keep(record, work.fuser.state, local)
                records.append(record)
            columns = self._finished(pair, clip, encoding, records, folder, path)
            remark = join_remarks(registered.remark, columns["remark"])
            return {**columns, **registered.columns, "remark": remark}, (store, records)

    def _register(self, ref: PairRef, clip: Clip) -> Registered:
        """Look at whether both sides show one place, and have the clip's frames aligned."""
        settings = self.settings
        if settings.registration == "off":
            return UNSEEN
        if self.cameras is None:
            matrix, found = register_clip(clip.samples(SAMPLES), settings)
        else:
            name, camera = self.cameras.of(ref)
            samples = clip.samples(1) or clip.samples(SAMPLES)
            if not samples:
                return UNSEEN
            _, found = register_by_camera(samples[0], settings, name, camera)
            corrected = found.columns["registration"] == "corrected"
            matrix = camera.matrix if camera is not None and corrected else None
        if matrix is not None:
            clip.align = partial(moved, matrix=matrix)
        return found

    def path(self, ref: PairRef) -> str:
        """Return the path of a fused clip below the output."""
        return fused_path(
            ref,
            self.run.settings_hash,
            self.room.fuser.model_hash,
            CONTAINER[self.settings.video_codec],
            arithmetic=arithmetic_of(self.room.fuser).key,
        )

    def segments(self, path: str) -> SegmentStore:
        """Return the segments that lie beside a fused clip."""
        return SegmentStore(self.output, path, self.room.fuser.device)

    def _segment_work(
        self,
        clip: Clip,
        encoding: Encoding,
        state: SteadyState,
        pair: PairState,
        clock: StageClock,
        *,
        in_tiles: bool,
    ) -> SegmentWork:
        settings = self.settings
        tile = smaller_tile(settings.tile_size) if in_tiles else settings.tile_size
        return SegmentWork(
            clip,
            SteadyFuser(
                self.room,
                tile_size=tile,
                steady=settings.steady,
                whole=not in_tiles,
                state=state,
            ),
            encoding,
            settings.unmatched_frames,
            self.room.fuser.device,
            clock,
            _Progress(pair, clip, settings.pair_deadline).alive,
        )

    def _finished(
        self,
        pair: PairState,
        clip: Clip,
        encoding: Encoding,
        records: list[SegmentRecord],
        folder: Path,
        path: str,
    ) -> dict[str, Any]:
        """Put the segments together, and write the clip with all that goes beside it."""
        rows = [row for record in records for row in record.rows]
        if not any(row.scores for row in rows):
            raise nothing_matches(clip)
        store, locals_ = self.segments(path), []
        with pair.timed("write"):
            for record in records:
                if record.written:
                    locals_.append(folder / f"{record.number:05}.nut")
                    store.download(record, locals_[-1])
        target = folder / f"fused.{CONTAINER[encoding.codec]}"
        with pair.timed("encode"):
            frames = sum(record.written for record in records)
            sound = join(locals_, target, encoding=encoding, visible=clip.vi, frames=frames)
            for local in locals_:
                local.unlink()
            clip.check()
        with pair.timed("write"):
            path = create_image_file(self.output, path, target)
        with pair.timed("encode"):
            strip = draw_strip(clip, target, rows, pair.ref.pair_id)
        stem = path.rpartition(".")[0]
        frames_path, strip_path = f"{stem}.frames.parquet", f"{stem}.quicklook.png"
        with pair.timed("write"), as_pair_error(WriteError):
            self.output.write(frames_path, frame_table(rows))
            self.output.write(strip_path, strip)
        with target.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {
            **clip_columns(clip, encoding, records),
            "fused_url": self.output.url(path),
            "fused_sha256": digest,
            "fused_bytes": target.stat().st_size,
            "frames_url": self.output.url(frames_path),
            "quicklook_url": self.output.url(strip_path),
            "remark": clip_remark(clip, encoding, records, self.settings, sound),
        }


class _Progress:
    """Tells how far a clip is, and ends it where a segment takes too long.

    Args:
        pair: The clip.
        clip: The same, open.
        seconds: What is allowed for every 100 megapixels of frames begun.
    """

    def __init__(self, pair: PairState, clip: Clip, seconds: float):
        self._pair, self._seconds = pair, seconds
        self._size = clip.vi.facts.width * clip.vi.facts.height
        self._begun = self._told = time.monotonic()
        before = sum(pair.seconds.values())
        self._before = before
        pair.allowed = before + seconds

    def alive(self, frames: int) -> None:
        """Note that so many frames of the segment are done.

        Raises:
            DeadlineError: There is no time left for more.
        """
        now = time.monotonic()
        allowed = self._seconds * math.ceil(max(1, frames) * self._size / _PIXELS)
        self._pair.allowed = self._before + allowed
        if now - self._begun > allowed:
            raise deadline_error(self._pair.stage, dict(self._pair.seconds), allowed)
        if now - self._told > _PROGRESS_SECONDS:
            self._told = now
            log.info("clip %s: %d frames of this segment", self._pair.ref.pair_id, frames)
