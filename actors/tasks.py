"""Single tasks that are done on the cluster while the driver waits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import ray

from actors.fusion_actor import FusionJob, load_job_fuser
from actors.node_memory import node_budget
from actors.resources import WorkerShare
from actors.waiting import result_of
from fusion_core import jobs, models, video
from fusion_core.archive import Chunk, PairRef
from fusion_core.storage import Storage, open_source

Result = TypeVar("Result")


def run_on_worker(
    work: Callable[..., Result], *arguments: Any, share: WorkerShare | None = None
) -> Result:
    """Call a function in a process of the cluster, and return its result or raise its error.

    Args:
        work: The function.
        arguments: What it is called with.
        share: What to take of the cluster meanwhile. Default: nothing, for work that may go on
            beside all else.
    """
    cpus, gpus = (share.cpus, share.gpus) if share else (0, 0)
    remote: Any = ray.remote(num_cpus=cpus, num_gpus=gpus)(work)
    result: Result = result_of(remote.remote(*arguments))
    return result


def time_pairs(
    job: FusionJob, share: WorkerShare, pairs: Sequence[PairRef], storage_options: Mapping[str, Any]
) -> tuple[float, int]:
    """Fuse pairs in this process, as a worker would, without keeping anything.

    Returns:
        Seconds that all but the first pair took (the first warms the fuser up, unless it is the
        only one), and the bytes of their files.
    """
    worker = jobs.FusionWorker(
        source=open_source(job.settings, storage_options),
        output=Storage(f"memory://estimate-{uuid.uuid4().hex}"),
        fuser=load_job_fuser(job, share.device, share.cpus),
        settings=job.settings,
        run=job.run,
        budget=node_budget(job.settings.max_workers),
    )
    worker.run(Chunk("warm-up", tuple(pairs[:1])))
    timed = tuple(pairs[1:] or pairs)
    begin = time.perf_counter()
    worker.run(Chunk("timed", timed))
    return time.perf_counter() - begin, sum(pair.ir_bytes + pair.vi_bytes for pair in timed)


def time_tile(job: FusionJob, share: WorkerShare) -> float:
    """Return the seconds that the model takes in this process for a pixel of a large scene."""
    fuser = load_job_fuser(job, share.device, share.cpus)
    return models.seconds_per_pixel(fuser, job.settings.tile_size)


def count_clip_pixels(
    job: FusionJob, clips: Sequence[PairRef], storage_options: Mapping[str, Any]
) -> tuple[int, int]:
    """Return the pixels of all frames of some clips, by their headers, and their files' bytes.

    Those that can't be opened count for neither.
    """
    source = open_source(job.settings, storage_options)
    pixels = size = 0
    for ref in clips:
        found = video.count_pixels(source, ref, job.settings)
        pixels += found
        size += ref.file_bytes if found else 0
    return pixels, size
