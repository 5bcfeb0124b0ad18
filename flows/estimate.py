"""Estimates how long a run would take."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from actors.fusion_actor import FusionJob
from actors.resources import WorkerShare
from actors.tasks import run_on_worker, time_pairs, time_tile
from fusion_core.archive import PairRef, Plan, cut_chunks, total_bytes
from fusion_core.scenes import add_pixels
from fusion_core.storage import StorageOptions, open_source, options_now

_SAMPLE = 5
_LARGE = 1 << 22  # pixels


def estimate_seconds(
    job: FusionJob, share: WorkerShare, plan: Plan, storage_options: StorageOptions
) -> float:
    """Estimate the seconds that a plan takes, by timing a little of it on one worker.

    Pairs are timed by the first few; of large scenes, which may take an hour each, a tile is.
    """
    source = open_source(job.settings, storage_options)
    sample: tuple[PairRef, ...] = ()
    pair_bytes = scene_pixels = 0
    for batch in plan.todo.to_batches():
        todo = add_pixels(source, pa.Table.from_batches([batch]))
        large = pc.greater(todo["pixels"], _LARGE)
        scene_pixels += int(pc.sum(todo.filter(large)["pixels"]).as_py() or 0)
        pairs = todo.filter(pc.invert(large))
        pair_bytes += total_bytes(pairs)
        if len(pairs) and not sample:
            sample = next(cut_chunks(pairs, "", _SAMPLE)).pairs
    seconds = 0.0
    if sample:
        timed, timed_bytes = run_on_worker(
            time_pairs, job, share, sample, options_now(storage_options), share=share
        )
        # Images of a kind cost about the same per byte, and sizes are all that a listing knows.
        seconds += timed * pair_bytes / max(timed_bytes, 1)
    if scene_pixels:
        of_pixel = run_on_worker(time_tile, job, share, share=share)
        seconds += of_pixel * scene_pixels
    return seconds / share.count
