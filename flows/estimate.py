"""Estimates how long a run would take."""

from __future__ import annotations

import pyarrow.compute as pc

from actors.fusion_actor import FusionJob
from actors.resources import WorkerShare
from actors.tasks import run_on_worker, time_pairs, time_tile
from fusion_core.archive import Plan, cut_chunks, total_bytes
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
    todo = add_pixels(open_source(job.settings, storage_options), plan.todo)
    large = pc.greater(todo["pixels"], _LARGE)
    scenes, pairs = todo.filter(large), todo.filter(pc.invert(large))
    seconds = 0.0
    if len(pairs):
        sample = next(cut_chunks(pairs, "", _SAMPLE)).pairs
        timed, timed_bytes = run_on_worker(
            time_pairs, job, share, sample, options_now(storage_options), share=share
        )
        # Images of a kind cost about the same per byte, and sizes are all that a listing knows.
        seconds += timed * total_bytes(pairs) / max(timed_bytes, 1)
    if len(scenes):
        of_pixel = run_on_worker(time_tile, job, share, share=share)
        seconds += of_pixel * float(pc.sum(scenes["pixels"]).as_py())
    return seconds / share.count
