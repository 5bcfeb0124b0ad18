"""Traces of a run for OpenTelemetry: a span for the run, its parts, each chunk and each pair.

They are made in the driver, of what comes back with the results, so that workers need no exporter
and a worker that dies takes no span of another chunk with it. The provider is the run's own:
nothing else of this process is traced by it.
"""

from __future__ import annotations

import datetime as dt
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fusion_core import __version__
from fusion_core.jobs import Attempt, ChunkResult, RunIdentity, Told

ONE_TRACE = 5_000
"""A run of so many pairs is one trace. In a larger one each chunk is a trace of its own, linked to
the run's, since nothing that keeps traces shows one of a million spans."""

_FLUSH_SECONDS = 5.0
_PREFIX = "fuse_archive"


class RunTraces:
    """The spans of one run.

    Args:
        flow: The flow's name, which the run's span has.
        processor: Where spans go. Default: as OpenTelemetry's variables say.
        environ: Those, and ``TRACEPARENT``, the span of whoever started the run.
    """

    def __init__(
        self,
        flow: str,
        processor: SpanProcessor | None = None,
        environ: Mapping[str, str] = os.environ,
    ):
        named = "OTEL_SERVICE_NAME" in environ or "service.name=" in environ.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        about = {"service.version": __version__} | ({} if named else {"service.name": flow})
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(processor or BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer(_PREFIX, __version__)
        caller = {"traceparent": environ.get("TRACEPARENT", "")}
        parent = TraceContextTextMapPropagator().extract(caller)
        self._run = self._now_in = self._tracer.start_span(flow, parent)
        self._one_trace = True
        self._ids: dict[str, str] = {}

    def identified(self, identity: RunIdentity, output: str) -> None:
        """Note which run it is; spans from here on bear its id."""
        self._ids = {f"{_PREFIX}.run_id": identity.run_id}
        self._run.set_attributes({**self._ids, f"{_PREFIX}.output": output})

    def planned(self, pairs: int) -> None:
        """Note how many pairs are to be done."""
        self._run.set_attribute(f"{_PREFIX}.pairs", pairs)
        self._one_trace = pairs <= ONE_TRACE

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Have a span of the run during the block; chunks are in it."""
        within = trace.set_span_in_context(self._run)
        span = self._tracer.start_span(name, within, attributes=self._ids)
        self._now_in = span
        try:
            yield
        finally:
            self._now_in = self._run
            span.end()

    def add(self, result: ChunkResult) -> None:
        """Make the spans of a chunk and of its pairs."""
        told = result.told
        if told is None:
            return
        within = trace.set_span_in_context(self._now_in if self._one_trace else trace.INVALID_SPAN)
        links = [] if self._one_trace else [trace.Link(self._run.get_span_context())]
        chunk = self._tracer.start_span(
            "chunk",
            within,
            attributes={**self._ids, **_of_chunk(result, told)},
            links=links,
            start_time=_nanoseconds(told.began),
        )
        if chunk.is_recording():
            for warning in told.warnings:
                about = {"message": warning.message, "logger": warning.logger}
                chunk.add_event("warning", about, int(warning.time * 1e9))
            inside = trace.set_span_in_context(chunk)
            for attempt in result.attempts:
                self._add_pair(attempt, inside)
        chunk.end(_nanoseconds(told.ended))

    def end(self, error: BaseException | None) -> None:
        """End the run's span, and send what isn't sent; a receiver that is away costs seconds.

        Args:
            error: What the run failed of; None where it ended well.
        """
        if error is not None:
            self._run.record_exception(error)
            self._run.set_status(trace.StatusCode.ERROR, f"{type(error).__name__}: {error}")
        self._run.end()
        # It would try for half a minute, and longer than that where it is asked to be quick.
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(_FLUSH_SECONDS)
        if sending.is_alive():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # which ends its wait for another try

    def _add_pair(self, attempt: Attempt, within: Context) -> None:
        span = self._tracer.start_span(
            "pair",
            within,
            attributes={**self._ids, **_of_pair(attempt)},
            start_time=_nanoseconds(attempt.started),
        )
        if attempt.status in ("failed", "undone"):
            span.set_status(trace.StatusCode.ERROR, f"{attempt.error_type} at {attempt.stage}")
        span.end(_nanoseconds(attempt.ended))


def _of_chunk(result: ChunkResult, told: Told) -> dict[str, str | int]:
    counts = {"ok": result.ok, "failed": result.failed, "undone": len(result.undone)}
    return {
        f"{_PREFIX}.chunk": told.chunk,
        "host.name": told.host,
        f"{_PREFIX}.device": told.device,
        **{f"{_PREFIX}.pairs.{name}": count for name, count in counts.items()},
    }


def _of_pair(attempt: Attempt) -> dict[str, str | int | float]:
    reasons = {"stage": attempt.stage, "cause": attempt.cause}
    told: dict[str, str | int | float | None] = {
        "pair_id": attempt.pair_id,
        "method": attempt.method,
        "status": attempt.status,
        "retries": attempt.retries,
        "bytes_read": attempt.bytes_read,
        "bytes_written": attempt.bytes_written,
        **{f"seconds.{stage}": spent for stage, spent in attempt.seconds.items()},
        **reasons,
    }
    named = {f"{_PREFIX}.{name}": value for name, value in told.items() if value is not None}
    return named | ({"error.type": attempt.error_type} if attempt.error_type else {})


def _nanoseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000
