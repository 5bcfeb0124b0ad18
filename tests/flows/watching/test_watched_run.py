"""A whole run, scraped, pushed, traced and logged as JSON."""

import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from receivers import receiving

from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary
from fusion_core.settings import FuseArchiveSettings

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
Samples = dict[tuple[str, str], float]


@contextmanager
def scraping(port: int) -> Iterator[list[Samples]]:
    """Ask for metrics again and again during the block; samples by name and first label's value."""
    found: list[Samples] = []
    over = threading.Event()

    def scrape() -> None:
        while not over.wait(0.02):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                    text = answer.read().decode()
            except OSError:  # not yet, or no more
                continue
            found.append(
                {
                    (
                        one.name,
                        one.labels.get("outcome") or one.labels.get("state") or "",
                    ): one.value
                    for family in text_string_to_metric_families(text)
                    for one in family.samples
                }
            )

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def test_a_run_can_be_watched_from_its_beginning_to_its_end(
    archive: FuseArchiveSettings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (Path(archive.source) / "ir/p5.png").write_bytes(b"no picture")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with receiving() as receiver, scraping(port) as scraped:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
        watched = {"metrics_port": port, "metrics_push": receiver.url, "log_format": "json"}
        summary = fuse_archive(archive.model_copy(update={**watched, "max_failed": 0.5}))
    assert isinstance(summary, RunSummary)

    last = scraped[-1]
    assert last["fuse_archive_pairs_total", "ok"] == 7
    assert last["fuse_archive_pairs_total", "failed"] == 1
    assert last["fuse_archive_planned_pairs", "todo"] == 8
    assert last["fuse_archive_backlog_pairs", "queued"] == 0
    assert max(one["fuse_archive_workers", "ready"] for one in scraped) == 1

    (body,) = [body for _, path, body in receiver.requests if path.startswith("/metrics/")]
    assert b"\nfuse_archive_run_success 1.0\n" in body

    spans = receiver.spans()
    names = sorted(span.name for span in spans if span.name not in ("pair", "chunk"))
    assert names == ["fuse", "fuse-archive", "plan", "summarise"]
    chunks = {span.span_id: span for span in spans if span.name == "chunk"}
    pairs = [span for span in spans if span.name == "pair"]
    assert (len(chunks), len(pairs)) == (3, 8)
    assert {span.trace_id for span in spans} == {pairs[0].trace_id}
    for pair in pairs:
        chunk = chunks[pair.parent_span_id]
        assert chunk.start_time_unix_nano <= pair.start_time_unix_nano
        assert pair.end_time_unix_nano <= chunk.end_time_unix_nano

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line[:1] == "{"]
    (warning,) = [line for line in lines if line.get("worker_logger") == "fusion_core.jobs.failure"]
    assert (warning["pair_id"], warning["run_id"]) == ("p5", summary.run_id)
    assert warning["chunk"]
    assert warning["message"].startswith("worker on ")
    assert "pair p5 failed at decode" in warning["message"]
    assert summary.sentence() in [line["message"] for line in lines]
