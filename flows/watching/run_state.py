"""What a run is and does at this moment, as gauges that are read when Prometheus asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from actors.pool import ActorPool
from actors.pool_state import PoolState, state_of
from flows.watching.run_metrics import RunMetrics
from fusion_core.archive import Plan

_NO_POOL = PoolState(0, 0, 0, running=0, waiting=0, deaths=0, lost=0)


class RunState(Collector):
    """What a run is and does; what isn't known yet has no sample, so that it is no zero.

    Args:
        metrics: What the run counts.

    Attributes:
        about: What the run is, by label.
        plan: Its plan.
        began: When it began, in seconds since the epoch.
        ended: When it ended; None before.
        succeeded: Whether it ended well; None before, and where it was skipped.
        gpus: What each of its workers has of a GPU.
    """

    def __init__(self, metrics: RunMetrics):
        self.about: dict[str, str] = {}
        self.plan: Plan | None = None
        self.began = time.time()
        self.ended: float | None = None
        self.succeeded: bool | None = None
        self._metrics = metrics
        self._pool: ActorPool | None = None
        self.gpus = self._held = 0.0
        self._held_at = time.monotonic()
        self._lock = threading.Lock()
        metrics.registry.register(self)

    def work(self, pool: ActorPool, gpus: float) -> None:
        """Watch a pool from here on.

        Args:
            pool: The pool.
            gpus: What each of its workers has of a GPU.
        """
        self._pool, self.gpus, self._held_at = pool, gpus, time.monotonic()

    def gpu_seconds(self, state: PoolState | None = None) -> float:
        """Return the seconds that workers have held GPUs for, each by its share.

        Args:
            state: Of the pool, where it was asked for already.
        """
        if not self.gpus or self._pool is None:
            return self._held
        state = state or state_of(self._pool)
        with self._lock:
            now = time.monotonic()
            self._held += (now - self._held_at) * self.gpus * (state.ready + state.stopping)
            self._held_at = now
            return self._held

    def collect(self) -> Iterator[Metric]:
        """Yield what there is to tell; Prometheus' library calls this for every question."""
        state = state_of(self._pool) if self._pool else _NO_POOL
        yield InfoMetricFamily("fuse_archive_run", "What the run is", self.about)
        yield from self._moments()
        yield from self._planned()
        yield from self._backlog()
        yield _gauge(
            "workers",
            "Workers that can be given chunks, that were asked for, and that are given no more",
            {"ready": state.ready, "starting": state.starting, "stopping": state.stopping},
        )
        yield _gauge(
            "chunks",
            "Chunks that workers have (two for each, of which one is at work), and chunks that "
            "came back and are to be given out again",
            {"running": state.running, "waiting": state.waiting},
        )
        deaths = CounterMetricFamily(
            "fuse_archive_worker_deaths",
            "Workers that died or had to be ended, and workers that were lost with their node",
            labels=["kind"],
        )
        deaths.add_metric(["died"], state.deaths)
        deaths.add_metric(["lost"], state.lost)
        yield deaths
        yield CounterMetricFamily(
            "fuse_archive_gpu_seconds",
            "Seconds that workers have held GPUs for, each by its share",
            self.gpu_seconds(state),
        )

    def _moments(self) -> Iterator[Metric]:
        success = None if self.succeeded is None else float(self.succeeded)
        last = self.ended if self.succeeded else None
        for name, text, value in (
            ("run_start_timestamp_seconds", "When the run began", self.began),
            ("run_end_timestamp_seconds", "When the run ended, if it has", self.ended),
            ("run_success", "Whether the run that ended last ended well: 1 or 0", success),
            ("last_success_timestamp_seconds", "When a run last ended well", last),
        ):
            yield _gauge(name, text, {} if value is None else {None: value})

    def _planned(self) -> Iterator[Metric]:
        plan, pairs, files = self.plan, {}, {}
        if plan is not None:
            found = plan.pairing
            pairs = {"found": len(found.pairs), "todo": len(plan.todo), "done": plan.done}
            pairs |= {"failed": plan.known_failed, "archived": plan.archived}
            files = {
                name: len(getattr(found, name)) for name in ("unpaired", "ambiguous", "unmatched")
            }
        yield _gauge(
            "planned_pairs",
            "Pairs that the run found, those to do, those done or failed for good before, and "
            "those that are archived",
            pairs,
        )
        yield _gauge("files_without_pair", "Files of the archive that make no pair", files, "why")

    def _backlog(self) -> Iterator[Metric]:
        """Yield what waits, and for how long it will.

        How old a pair is nobody knows, for no listing is kept with its times.
        """
        plan = self.plan
        pairs: dict[str | None, float] = {}
        seconds: dict[str | None, float] = {}
        if plan is not None:
            queued = max(len(plan.todo) - self._metrics.verdicts, 0)
            pairs = {"queued": queued, "over_limit": plan.over_limit, "not_due": plan.waiting}
            rate = self._metrics.rate.per_second()
            waiting = queued + plan.over_limit
            if rate or not waiting:
                seconds = {None: waiting / rate if waiting else 0.0}
            elif self._metrics.verdicts:
                seconds = {None: float("inf")}  # it goes on no more
        yield _gauge(
            "backlog_pairs",
            "Pairs that wait: queued for this run, over its limit, and undone ones that a later "
            "run tries again",
            pairs,
        )
        yield _gauge(
            "backlog_seconds",
            "How long the pairs that are queued or over the limit would take at the rate of the "
            "last five minutes",
            seconds,
        )


def _gauge(name: str, text: str, values: Mapping[Any, float], label: str = "state") -> Metric:
    """Return a gauge with a sample for each value, by its label; by none where that is None."""
    labelled = [key for key in values if key is not None]
    family = GaugeMetricFamily(f"fuse_archive_{name}", text, labels=[label] if labelled else [])
    for key, value in values.items():
        family.add_metric([] if key is None else [key], value)
    return family
