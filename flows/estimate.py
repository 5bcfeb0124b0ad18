"""Estimates how long a run would take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from actors.fusion_actor import FusionJob
from actors.headers import BATCH, with_pixels
from actors.resources import WorkerShare
from actors.tasks import count_clip_pixels, run_on_worker, time_pairs, time_tile
from fusion_core.archive import PairRef, Plan, are_clips, cut_chunks, total_bytes
from fusion_core.storage import StorageOptions, options_now

_SAMPLE = 5
_LARGE = 1 << 22  # pixels


def estimate_seconds(
    job: FusionJob, share: WorkerShare, plan: Plan, storage_options: StorageOptions
) -> float:
    """Estimate the seconds that a plan takes, by timing a little of it on one worker.

    Pairs are timed by the first few; of large scenes and clips, which may take hours each, a tile
    is.
    """
    some, size, area, clips = _measure(
        with_pixels(plan.todo.to_batches(BATCH), job.settings, storage_options)
    )
    seconds = 0.0
    if clips.some:
        pixels, known = run_on_worker(
            count_clip_pixels, job, clips.some, options_now(storage_options)
        )
        area += pixels * clips.size // max(known, 1)
    if some:
        timed, timed_bytes = run_on_worker(
            time_pairs, job, share, some, options_now(storage_options), share=share
        )
        # Images of a kind cost about the same per byte, and sizes are all that a listing knows.
        seconds += timed * size / max(timed_bytes, 1)
    if area:
        seconds += area * run_on_worker(time_tile, job, share, share=share)
    return seconds / share.count


@dataclass
class _Clips:
    """The first few clips of a plan, and the bytes of all of them."""

    some: tuple[PairRef, ...] = ()
    size: int = 0

    def add(self, rows: pa.Table) -> None:
        self.size += total_bytes(rows)
        if missing := _SAMPLE - len(self.some):
            refs = (pair for chunk in cut_chunks(rows[:missing], "", 1) for pair in chunk.pairs)
            self.some += tuple(refs)


def _measure(
    todo: Iterable[pa.RecordBatch],
) -> tuple[tuple[PairRef, ...], int, int, _Clips]:
    """Return the first few photographs, the bytes of all, scenes' pixels, and the clips."""
    some: tuple[PairRef, ...] = ()
    clips = _Clips()
    size = area = 0
    for batch in todo:
        rows = pa.Table.from_batches([batch])
        of_clips = are_clips(rows)
        clips.add(rows.filter(of_clips))
        rows = rows.filter(pc.invert(of_clips))
        large = pc.greater(rows["pixels"], _LARGE)
        scenes, pairs = rows.filter(large), rows.filter(pc.invert(large))
        area += int(pc.sum(scenes["pixels"]).as_py() or 0)
        size += total_bytes(pairs)
        if len(pairs) and not some:
            some = next(cut_chunks(pairs, "", _SAMPLE)).pairs
    return some, size, area, clips
