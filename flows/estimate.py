"""Estimates how long a run would take."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from actors.fusion_actor import FusionJob
from actors.headers import BATCH, with_pixels
from actors.resources import WorkerShare
from actors.tasks import run_on_worker, time_pairs, time_tile
from fusion_core.archive import PairRef, Plan, cut_chunks, total_bytes
from fusion_core.storage import StorageOptions, options_now

_SAMPLE = 5
_LARGE = 1 << 22  # pixels


def estimate_seconds(
    job: FusionJob, share: WorkerShare, plan: Plan, storage_options: StorageOptions
) -> float:
    """Estimate the seconds that a plan takes, by timing a little of it on one worker.

    Pairs are timed by the first few; of large scenes, which may take an hour each, a tile is.
    """
    some, size, area = _measure(
        with_pixels(plan.todo.to_batches(BATCH), job.settings, storage_options)
    )
    seconds = 0.0
    if some:
        timed, timed_bytes = run_on_worker(
            time_pairs, job, share, some, options_now(storage_options), share=share
        )
        # Images of a kind cost about the same per byte, and sizes are all that a listing knows.
        seconds += timed * size / max(timed_bytes, 1)
    if area:
        seconds += area * run_on_worker(time_tile, job, share, share=share)
    return seconds / share.count


def _measure(todo: Iterable[pa.RecordBatch]) -> tuple[tuple[PairRef, ...], int, int]:
    """Return the first few pairs of photographs, the bytes of all of them, and scenes' pixels."""
    some: tuple[PairRef, ...] = ()
    size = area = 0
    for batch in todo:
        rows = pa.Table.from_batches([batch])
        large = pc.greater(rows["pixels"], _LARGE)
        scenes, pairs = rows.filter(large), rows.filter(pc.invert(large))
        area += int(pc.sum(scenes["pixels"]).as_py() or 0)
        size += total_bytes(pairs)
        if len(pairs) and not some:
            some = next(cut_chunks(pairs, "", _SAMPLE)).pairs
    return some, size, area
