"""Whole runs over an output that somebody else has written to: nothing elsewhere is opened."""

import datetime as dt
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny import png, write_pairs

from flows.evaluate import evaluate
from flows.summaries.evaluation import EvaluationSummary
from fusion_core.archive.layout import part_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import commit_part
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.storage.store import Storage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
PRIVATE = png(np.full((24, 32, 3), (255, 0, 255), np.uint8))


@contextmanager
def counting_server() -> Iterator[tuple[str, list[str]]]:
    """A server that gives the private picture to whoever asks, and notes what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(200)
            self.send_header("Content-Length", str(len(PRIVATE)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(PRIVATE)

        do_HEAD = do_GET

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/latest/meta-data.png", asked
    finally:
        server.shutdown()
        server.server_close()


def plant(output: str, url_of: Mapping[str, str]) -> None:
    """Commit newer copies of all rows there are, whose URLs are those of their method."""
    rows = []
    for row in read_manifest(f"{output}/manifest", latest=False).to_pylist():
        newer = {"attempt": 99, "ended": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)}
        urls = dict.fromkeys(("ir_url", "vi_url", "fused_url"), url_of[row["method"]])
        rows.append({name: value for name, value in row.items() if name != "date"} | newer | urls)
    assert commit_part(Storage(output), part_path(dt.date(2026, 1, 1), "f" * 24), rows)


def sheet_of(summary: object) -> np.ndarray:
    """The pixels of a run's sheet below its heading, which names the run."""
    assert isinstance(summary, EvaluationSummary)
    return np.asarray(Image.open(str(summary.contact_sheet)).convert("RGB")).astype(int)[80:]


def private_pixels(sheet: np.ndarray) -> int:
    return int((np.abs(sheet - (255, 0, 255)).max(axis=2) < 15).sum())


@pytest.mark.long
def test_an_evaluation_opens_nothing_elsewhere_and_shows_no_bytes_but_its_own(
    tmp_path: Path,
) -> None:
    write_pairs(tmp_path / "in", ["p0", "p1"])
    private = tmp_path / "private.png"
    private.write_bytes(PRIVATE)
    places = {"source": str(tmp_path / "in"), "output": str(tmp_path / "out")}
    gentle = {"worker": "cpu:1", "max_workers": 1, "io_threads": 2, "contact_sheet": 2}
    models = {"mean": "mean", "maximum": "maximum"}
    settings = EvaluateSettings.model_validate({**places, **gentle, "models": models})
    shown = sheet_of(evaluate(settings))
    with counting_server() as (url, asked):
        plant(settings.output, {"mean": url, "maximum": str(private)})
        second = evaluate(settings)
        assert isinstance(second, EvaluationSummary)
        assert second.done_before == 4, "the planted rows stand for the pairs"
        np.testing.assert_array_equal(sheet_of(second), shown)
        # Images that somebody replaced are words on the sheet, and the run goes on.
        for image in (tmp_path / "out/fused").rglob("*.png"):
            image.write_bytes(PRIVATE)
        replaced = sheet_of(evaluate(settings))
        assert private_pixels(replaced) == 0
        assert (replaced != shown).any()
    assert asked == []
