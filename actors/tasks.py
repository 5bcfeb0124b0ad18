"""Single pieces of work with pixels in them, done on the cluster while the driver waits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from actors.fusion_actor import FusionJob, load_job_fuser
from actors.resources import WorkerShare
from actors.waiting import result_of
from fusion_core.archive import Chunk, PairRef
from fusion_core.jobs import FusionWorker
from fusion_core.models import seconds_per_pixel
from fusion_core.reports import write_comparison_sheet, write_contact_sheet
from fusion_core.storage import Storage


def draw_contact_sheet(
    output: Storage, path: str, rows: Sequence[Mapping[str, Any]], title: str
) -> str:
    """Call ``write_contact_sheet`` on a worker; same arguments."""
    return _drawn(write_contact_sheet, output, path, rows, title)


def draw_comparison_sheet(
    output: Storage, path: str, rows: Sequence[Mapping[str, Any]], title: str
) -> str:
    """Call ``write_comparison_sheet`` likewise."""
    return _drawn(write_comparison_sheet, output, path, rows, title)


def _drawn(write: Callable[..., str], *arguments: Any) -> str:
    draw: Any = ray.remote(num_cpus=0)(write)
    url: str = result_of(draw.remote(*arguments))
    return url


def time_pairs(
    job: FusionJob, share: WorkerShare, pairs: Sequence[PairRef], storage_options: Mapping[str, Any]
) -> tuple[float, int]:
    """Fuse pairs on a worker without keeping anything.

    Returns:
        Seconds that all but the first pair took (the first warms the worker up, unless it is the
        only one), and the bytes of their files.
    """
    remote: Any = _timed.options(num_cpus=share.cpus, num_gpus=share.gpus)
    timing: tuple[float, int] = result_of(
        remote.remote(job, share.device, share.cpus, tuple(pairs), storage_options)
    )
    return timing


@ray.remote
def _timed(
    job: FusionJob,
    device: str,
    cpus: float,
    pairs: tuple[PairRef, ...],
    storage_options: Mapping[str, Any],
) -> tuple[float, int]:
    scratch = Storage(f"memory://estimate-{uuid.uuid4().hex}")
    chunks = FusionWorker(
        Storage(job.settings.source, storage_options),
        scratch,
        load_job_fuser(job, device, cpus),
        job.settings,
        job.run,
    )
    chunks.run(Chunk("warm-up", pairs[:1]))
    timed = pairs[1:] or pairs
    begin = time.perf_counter()
    chunks.run(Chunk("timed", timed))
    return time.perf_counter() - begin, sum(pair.ir_bytes + pair.vi_bytes for pair in timed)


def time_tile(job: FusionJob, share: WorkerShare) -> float:
    """Return the seconds that a worker's model takes for a pixel of a large scene."""
    remote: Any = _timed_tile.options(num_cpus=share.cpus, num_gpus=share.gpus)
    seconds: float = result_of(remote.remote(job, share.device, share.cpus))
    return seconds


@ray.remote
def _timed_tile(job: FusionJob, device: str, cpus: float) -> float:
    fuser = load_job_fuser(job, device, cpus)
    return seconds_per_pixel(fuser, job.settings.tile_size)
