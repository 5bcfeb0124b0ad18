import datetime as dt
import socket
import time

import pytest
from attempts import BEGAN, attempt, chunk_result
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from receivers import receiving
from tiny import TODAY

from flows.watching import traces as traces_module
from flows.watching.traces import ONE_TRACE, RunTraces
from fusion_core.errors import TooManyFailuresError
from fusion_core.jobs import RunIdentity, WorkerWarning

RUN = RunIdentity("20261120T023000Z-1a2b3c4d", TODAY, "m", "s")


def traced(pairs: int, error: BaseException | None = None, **environ: str) -> list[ReadableSpan]:
    """Return the spans of a run of one chunk of two pairs, in the order in which they ended."""
    kept = InMemorySpanExporter()
    traces = RunTraces("fuse-archive", SimpleSpanProcessor(kept), environ)
    traces.identified(RUN, "s3://results")
    with traces.phase("plan"):
        pass
    traces.planned(pairs)
    warning = WorkerWarning(BEGAN.timestamp(), 30, "fusion_core.jobs", "found", pair_id="b")
    result = chunk_result(attempt("a"), attempt("b", "failed"), warnings=(warning,))
    with traces.phase("fuse"):
        traces.add(result)
    traces.end(error)
    return list(kept.get_finished_spans())


def nanoseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1e9)


def test_a_run_holds_its_parts_and_these_the_chunks_and_these_the_pairs() -> None:
    plan, first, second, chunk, fuse, run = traced(2)
    names = [span.name for span in (plan, first, second, chunk, fuse, run)]
    assert names == ["plan", "pair", "pair", "chunk", "fuse", "fuse-archive"]
    parents = {first: chunk, second: chunk, chunk: fuse, plan: run, fuse: run}
    for span, parent in parents.items():
        assert span.parent is not None
        assert span.parent.span_id == parent.context.span_id
        assert span.context.trace_id == run.context.trace_id
    assert run.parent is None
    for span in (plan, first, second, chunk, fuse, run):
        assert span.attributes is not None
        assert span.attributes["fuse_archive.run_id"] == RUN.run_id


def test_a_pair_tells_when_it_was_worked_on_for_how_long_and_how_it_ended() -> None:
    _, ok, failed, chunk, _, _ = traced(2)
    assert ok.attributes is not None
    assert failed.attributes is not None
    assert ok.start_time == nanoseconds(BEGAN)
    assert ok.end_time == nanoseconds(BEGAN + dt.timedelta(seconds=2))
    assert ok.attributes["fuse_archive.pair_id"] == "a"
    assert ok.attributes["fuse_archive.seconds.fuse"] == 0.5
    assert ok.status.status_code is StatusCode.UNSET
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.status.description == "DecodeError at decode"
    assert failed.attributes["fuse_archive.cause"] == "pair"
    assert chunk.attributes is not None
    assert chunk.end_time == nanoseconds(BEGAN + dt.timedelta(seconds=3))
    assert chunk.attributes["host.name"] == "node"
    assert (chunk.attributes["fuse_archive.pairs.ok"], len(chunk.links)) == (1, 0)
    assert [event.name for event in chunk.events] == ["warning"]


def test_a_large_run_has_a_trace_for_each_chunk_linked_to_the_runs() -> None:
    _, first, _, chunk, _, run = traced(ONE_TRACE + 1)
    assert chunk.parent is None
    assert chunk.context.trace_id != run.context.trace_id
    assert first.context.trace_id == chunk.context.trace_id
    assert [link.context.span_id for link in chunk.links] == [run.context.span_id]


def test_a_run_that_failed_says_of_what() -> None:
    run = traced(2, TooManyFailuresError("half of them failed"))[-1]
    assert run.status.status_code is StatusCode.ERROR
    assert run.status.description == "TooManyFailuresError: half of them failed"


def test_whoever_starts_a_run_may_have_it_in_a_trace_of_its_own() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run = traced(2, TRACEPARENT=parent)[-1]
    assert run.parent is not None
    assert f"{run.parent.span_id:016x}" == "b7ad6b7169203331"
    assert f"{run.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"


def test_spans_are_sent_as_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        for name in (None, "nights"):
            if name:
                monkeypatch.setenv("OTEL_SERVICE_NAME", name)
            traces = RunTraces("fuse-archive")
            traces.add(chunk_result(attempt("a")))
            traces.end(None)
    assert sorted(span.name for span in receiver.spans()) == sorted(
        2 * ["chunk", "fuse-archive", "pair"]
    )
    assert receiver.services() == {"fuse-archive", "nights"}


def test_a_receiver_that_is_away_holds_up_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setattr(traces_module, "_FLUSH_SECONDS", 0.2)
    traces = RunTraces("fuse-archive")
    began = time.monotonic()
    traces.end(None)
    assert time.monotonic() - began < 3.0  # it would try for ten
