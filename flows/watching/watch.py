"""Watches a run by whatever is asked for: one object that the flows tell what happens."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

from prefect import get_run_logger

from flows.watching.asked import check_watching, no_traces, traces_asked
from flows.watching.json_logs import logs_as, name_run
from fusion_core import __version__
from fusion_core.jobs import ChunkResult, RunIdentity
from fusion_core.settings import RunSettings

if TYPE_CHECKING:  # with libraries that are loaded only where they are asked for
    from contextlib import AbstractContextManager

    from actors.pool import ActorPool
    from actors.resources import WorkerShare
    from flows.watching.run_metrics import RunMetrics
    from flows.watching.run_state import RunState
    from flows.watching.traces import RunTraces
    from fusion_core.archive import Plan


class Watch:
    """Tells those who watch a run what happens; nobody, as it is made.

    Args:
        flow: The flow's name.

    Attributes:
        metrics: What is counted; None where no metrics are asked for.
        state: What is told of the moment; likewise.
        traces: The run's spans; None where no traces are asked for.
        skipped: Whether the run found another at work and did nothing, which is no success.
    """

    metrics: RunMetrics | None = None
    state: RunState | None = None
    traces: RunTraces | None = None
    skipped: bool = False

    def __init__(self, flow: str = ""):
        self.flow = flow

    @property
    def detailed(self) -> bool:
        """Whether workers are to tell of each attempt."""
        return self.metrics is not None or self.traces is not None

    def identified(self, settings: RunSettings, identity: RunIdentity) -> None:
        """Note which run it is."""
        name_run(identity.run_id)
        if self.state is not None:
            self.state.about = {
                "flow": self.flow,
                "run_id": identity.run_id,
                "source": settings.source,
                "output": settings.output,
                "model_hash": identity.model_hash or "",
                "settings_hash": identity.settings_hash,
                "version": __version__,
            }
        if self.traces is not None:
            self.traces.identified(identity, settings.output)

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Return a context for a part of the run, such as its planning."""
        return nullcontext() if self.traces is None else self.traces.phase(name)

    def planned(self, plan: Plan) -> None:
        """Note what is to be done."""
        if self.state is not None:
            self.state.plan = plan
        if self.traces is not None:
            self.traces.planned(len(plan.todo))

    def work(self, pool: ActorPool, share: WorkerShare) -> None:
        """Note what works on the chunks.

        Args:
            pool: The pool.
            share: What each of its workers takes.
        """
        if self.state is not None:
            self.state.work(pool, share.gpus)

    def results(self, results: Iterable[ChunkResult]) -> Iterable[ChunkResult]:
        """Pass on what becomes of chunks, and tell of it."""
        return self._telling(results) if self.detailed else results

    def _telling(self, results: Iterable[ChunkResult]) -> Iterator[ChunkResult]:
        for result in results:
            if self.state is not None and self.metrics is not None:
                self.state.gpu_seconds()
                self.metrics.add(result, self.state.gpus)
            if self.traces is not None:
                self.traces.add(result)
            yield result

    def _end(self, error: BaseException | None) -> None:
        if self.state is not None and not self.skipped:
            self.state.ended, self.state.succeeded = time.time(), error is None
        if self.traces is not None:
            self.traces.end(error)


@contextmanager
def watching(settings: RunSettings, flow: str, *, quiet: bool = False) -> Iterator[Watch]:
    """Watch a run during the block, as its settings and OpenTelemetry's variables ask for.

    Args:
        settings: The run's settings.
        flow: The flow's name.
        quiet: Whether it is to be logged only, since nothing is done.

    Raises:
        SettingsError: What is asked for can't be had.
    """
    check_watching(settings)
    watch = Watch(flow)
    with ExitStack() as stack:
        stack.enter_context(logs_as(settings.log_format))
        if not quiet:
            _measure(watch, settings, stack)
            _trace(watch)
        try:
            yield watch
        except BaseException as error:
            watch._end(error)
            raise
        watch._end(None)


def _measure(watch: Watch, settings: RunSettings, stack: ExitStack) -> None:
    port, gateway = settings.metrics_port, settings.metrics_push
    if port is None and gateway is None:
        return
    from flows.watching.run_metrics import RunMetrics
    from flows.watching.run_state import RunState
    from flows.watching.serving import push, served

    logger = get_run_logger()
    watch.metrics = metrics = RunMetrics()
    watch.state = RunState(metrics)
    if port is not None:
        url = stack.enter_context(served(metrics.registry, settings.metrics_address, port))
        logger.info("metrics are served on %s", url)
    if gateway is not None:

        def push_all() -> None:
            if not watch.skipped:
                about = {"job": watch.flow, "output": settings.output}
                push(metrics.registry, gateway, **about, logger=logger)

        stack.callback(push_all)


def _trace(watch: Watch) -> None:
    if not traces_asked():
        return
    if why := no_traces():
        get_run_logger().warning("%s", why)
        return
    from flows.watching.traces import RunTraces

    watch.traces = RunTraces(watch.flow)
