"""Has a plan's chunks processed on Ray, and tells what became of them and of the workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from prefect import get_run_logger

from actors.headers import BATCH, with_pixels
from actors.pool import ActorPool
from actors.ray_internals import node_types
from actors.resources import WorkerShare, alive_nodes, worker_share
from actors.staff import PoolLimits
from flows.progress import shown
from flows.run import Run
from flows.watching.warning_log import WarningLog
from fusion_core.archive import (
    MANIFEST_FOLDER,
    Chunk,
    Plan,
    Publisher,
    cut_chunks,
    part_path,
    with_intents,
)
from fusion_core.jobs import ChunkResult
from fusion_core.settings import RunSettings

MakeActor = Callable[[WorkerShare, Collection[str]], Any]


@dataclass
class Worked:
    """What became of a plan's chunks, summed up as they come.

    Attributes:
        ok: Number of pairs fused, or images scored.
        failed: Number of those that failed for good.
        skipped: Number of those that are archived.
        parts: Paths of the parts that hold their rows, each once, in the order in which they came.
        left_out: The nodes and GPUs that were left out, and why.
    """

    ok: int = 0
    failed: int = 0
    skipped: int = 0
    parts: dict[str, None] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def add(self, result: ChunkResult) -> None:
        """Add the outcome of a chunk."""
        self.ok += result.ok
        self.failed += result.failed
        self.skipped += result.skipped
        self.parts.update(dict.fromkeys(result.parts))


def count_results(todo: int, worked: Sequence[Worked], undone: int) -> dict[str, int]:
    """Return the fields of a summary that count what became of plans.

    Args:
        todo: Number of pairs, or of images to score, in the plans.
        worked: What became of their chunks.
        undone: Number of those whose last attempt ended without a verdict: a pair that was undone
            at first may have been done at its second attempt.
    """
    failed, skipped = (sum(getattr(one, name) for one in worked) for name in ("failed", "skipped"))
    ok = sum(one.ok for one in worked)
    unfinished = todo - undone - ok - failed - skipped
    return {"failed": failed, "skipped": skipped, "undone": undone, "unfinished": unfinished}


def run_chunks(
    run: Run[Any],
    plan: Plan,
    publisher: Publisher,
    make_actor: MakeActor,
    *,
    verb: str,
    folder: str = MANIFEST_FOLDER,
) -> Worked:
    """Process the plan's chunks on Ray actors, and show the progress.

    Args:
        run: The run.
        plan: What is to be done.
        publisher: Publishes what is committed, under the lease of the output.
        make_actor: Asks Ray for one actor of the run's kind, with this share of the cluster, on
            none of these nodes.
        verb: What is done to them: ``fuse``, ``score`` or ``detect``.
        folder: Folder below the output for the parts.
    """
    logger = get_run_logger()
    if not len(plan.todo):
        logger.info("Nothing to %s.", verb)
        return Worked()
    settings, identity = run.settings, run.identity

    def path_of(chunk: Chunk) -> str:
        return part_path(identity.date, chunk.part_id, folder)

    def declare(chunks: Sequence[Chunk]) -> None:
        if chunks:
            publisher.declare([path_of(chunk) for chunk in chunks])

    def look() -> None:
        publisher.lease.check()
        progress.look(sum(slot.pairs_done for slot in pool.staff.slots))

    pool = _pool(run, make_actor, look, declare)
    run_key = f"{identity.run_id}-{identity.model_hash}-{identity.settings_hash}"
    todo = with_pixels(plan.todo.to_batches(BATCH), settings, run.credentials)
    chunks = with_intents(
        cut_chunks(todo, run_key, settings.chunk_pairs), publisher.declare, path_of
    )
    worked, warned = Worked(), WarningLog(logger)
    # A signal may come anywhere in here; the actors end then, not with the process.
    with (
        shown(len(plan.todo), logger, verb=verb, bar=_bar(settings)) as progress,
        closing(pool.run(chunks)) as done,
    ):
        for result in run.watch.results(done):
            publisher.committed(result.parts)
            progress.add(result)
            worked.add(result)
            warned.tell(result)
    publisher.publish()
    warned.end()
    _tell_of_losses(pool)
    worked.left_out = pool.places.told()
    return worked


def _bar(settings: RunSettings) -> bool | None:
    """Tell whether to draw a bar.

    None among lines of JSON, nor where nobody asked to be told, else as the terminal has it.
    """
    unwanted = settings.log_format == "json" or not get_run_logger().isEnabledFor(logging.INFO)
    return False if unwanted else None


def _tell_of_losses(pool: ActorPool) -> None:
    if pool.deaths or pool.lost:
        get_run_logger().warning(
            "%d workers died or hung and %d were lost with their nodes; others did their work",
            pool.deaths,
            pool.lost,
        )


def _pool(
    run: Run[Any],
    make_actor: MakeActor,
    check: Callable[[], None],
    declare: Callable[[Sequence[Chunk]], None],
) -> ActorPool:
    """Make the pool of a run, as large as the connected cluster has room for."""
    settings, share = run.settings, share_of(run)
    get_run_logger().info("room for %d workers with %s each", share.count, share)
    pool = ActorPool(
        lambda left_out: make_actor(share, left_out),
        share.fits,
        PoolLimits(
            most=settings.max_workers,
            grows=settings.ray_address is not None,
            patience=settings.worker_patience,
            pair_deadline=settings.pair_deadline,
            until=run.ends_at,
            asks=str(share),
        ),
        storage_options=run.credentials,
        check=check,
        declare=declare,
    )
    run.watch.work(pool, share)
    return pool


def share_of(run: Run[Any]) -> WorkerShare:
    """Return what a worker of the run takes of the connected cluster."""
    settings = run.settings
    grows = settings.ray_address is not None
    return worker_share(
        settings.worker,
        alive_nodes(),
        settings.max_workers,
        node_types=node_types() if grows else (),
        grows=grows,
    )
