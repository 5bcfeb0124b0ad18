"""What the pages of a run are made of, and what becomes of a run whose pages can't be written."""

import dataclasses
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from image_rows import OWN, image_row, listed
from invented_nights import run_id, summary_of
from manifest_rows import row
from strict_html import complaints, parsed
from tiny import settings_for

from flows import report_page
from flows.report_page import nights_before, write_comparison_report, write_fused_report
from flows.run import Run
from flows.summaries.run import RunSummary
from fusion_core.archive import NIGHTS_PATH, RUN_SCHEMA, RunRows, spill
from fusion_core.errors import StorageError
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports import Comparison
from fusion_core.storage import Storage

NAMES = ("a", "b<i>", "c")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log to where the tests can read it, and work in this process instead of a worker's."""
    monkeypatch.setattr(report_page, "get_run_logger", lambda: logging.getLogger("pages"))
    monkeypatch.setattr(report_page, "run_on_worker", lambda work, *given: work(*given))


@pytest.fixture
def run(told: None, tmp_path: Path) -> Run[Any]:
    settings = settings_for(tmp_path / "in", tmp_path / "out", "mean", report=True)
    made: Run[Any] = Run.begin(
        settings, settings_hash=OWN["settings_hash"], model_hash=OWN["model_hash"]
    )
    return named(made, run_id(7))


def named(run: Run[Any], name: str) -> Run[Any]:
    return dataclasses.replace(run, identity=dataclasses.replace(run.identity, run_id=name))


def rows_of(folder: Path) -> RunRows:
    rows = [row() | image_row(name, vif=k / 10) for k, name in enumerate(NAMES)]
    bad = {"stage": "read", "error_type": "ReadError", "error_message": "<u>gone</u>"}
    rows += [row() | {"pair_id": "z", "status": "failed", **bad}]
    table = pa.Table.from_pylist(rows, RUN_SCHEMA)
    return RunRows(spill(folder, RUN_SCHEMA, [table]), folder)


def summary_for(run: Run[Any], **more: Any) -> RunSummary:
    known = {"unpaired": [], "ambiguous": [], "unmatched": [], "known_failed": 0, "over_limit": 0}
    made = summary_of(7, pairs=3) | known | {"manifest": "m", "report": None} | more
    return RunSummary.model_validate(made | {"run_id": run.identity.run_id})


def written(run: Run[Any], folder: Path, **more: Any) -> RunSummary:
    plan: Any = SimpleNamespace(todo=listed(*NAMES, "z"))
    return write_fused_report(run, plan, rows_of(folder), summary_for(run, **more))


def page_of(run: Run[Any]) -> str:
    return run.output().read(f"{run.folder}/report.html").decode()


def texts(page: str) -> str:
    return " ".join("".join(parsed(page).itertext()).split())


def test_a_run_has_a_page_beside_its_summary_and_is_listed(run: Run[Any], tmp_path: Path) -> None:
    summary = written(run, tmp_path)
    assert summary.report == run.output().url(f"{run.folder}/report.html")
    assert f"- report: `{summary.report}`" in summary.markdown()
    page = page_of(run)
    assert complaints(page) == []
    assert "<u>gone</u>" in texts(page)
    assert page.count("data:image/webp") == 9
    names = [one.get("data-pair") for one in parsed(page).iter() if one.get("data-pair")]
    assert names == list(NAMES)  # from the lowest VIF
    index = run.output().read("index.html").decode()
    assert complaints(index) == []
    assert f'href="{run.folder}/report.html"' in index


def test_nights_are_read_once_and_then_from_what_was_kept(run: Run[Any], tmp_path: Path) -> None:
    output = run.output()
    for number in range(3):
        body = json.dumps(summary_of(number)).encode()
        output.write(f"runs/{run_id(number)}/summary.json", body)
    output.write(f"runs/{run_id(3)}/summary.json", b"{")
    output.write("runs/.lease/00000001.json", b"{}")
    written(run, tmp_path)
    assert "3 nights" in texts(page_of(run))
    for number in range(3):
        assert output.remove(f"runs/{run_id(number)}/summary.json")
    ids = [run_id(number) for number in range(4)]
    found = nights_before(output, ids)
    assert [night.run_id for night in found] == [run_id(n) for n in (7, 3, 2, 1, 0)]
    assert [night.succeeded for night in found] == [3, 0, 300, 300, 300]
    assert output.remove(NIGHTS_PATH)
    assert [night.succeeded for night in nights_before(output, ids)] == [0, 0, 0, 0]


def test_what_was_asked_is_held_against_the_night_before(run: Run[Any]) -> None:
    told = report_page._differences
    asked, before = {"settings": {"scaling": "range"}}, {"settings": {"scaling": "auto"}}
    summary: Any = SimpleNamespace(model_dump=lambda mode: {"request": asked})
    assert told(run, summary) is None
    output = run.output()
    output.write(f"runs/{run_id(1)}/summary.json", json.dumps({"fused": 1}).encode())
    assert told(run, summary) is None
    earlier = {"fused": 1, "request": before}
    output.write(f"runs/{run_id(2)}/summary.json", json.dumps(earlier).encode())
    output.write(f"runs/{run_id(3)}/summary.json", json.dumps({"scored": 1}).encode())
    output.write(f"runs/{run_id(8)}/summary.json", json.dumps(earlier).encode())
    assert told(run, summary) == ("scaling: auto → range",)


def test_only_what_is_not_kept_yet_is_read(run: Run[Any], tmp_path: Path) -> None:
    written(run, tmp_path)
    later = named(run, run_id(9))
    reads: list[str] = []

    class Counting(Storage):
        def read(self, path: str, size: int = 0, *, most: int | None = None) -> bytes:
            reads.append(path)
            return super().read(path, size, most=most)

    counting = Counting(later.settings.output)
    nights_before(counting, [run_id(7), run_id(8)], before=run_id(9))
    assert reads == [NIGHTS_PATH, f"runs/{run_id(8)}/summary.json"]


def test_a_page_without_a_worker_has_no_pictures_and_fails_nothing(
    run: Run[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(*_: Any) -> str:
        raise ValueError("no worker")

    monkeypatch.setattr(report_page, "run_on_worker", broken)
    assert written(run, tmp_path).report
    assert complaints(page_of(run)) == []
    assert "data:image" not in page_of(run)
    assert "The report has no pictures: no worker" in caplog.messages


def test_a_store_that_refuses_pages_fails_no_run(
    run: Run[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refused(self: Storage, path: str, body: bytes) -> None:
        raise StorageError("no right to write")

    monkeypatch.setattr(Storage, "write", refused)
    assert written(run, tmp_path).report is None
    assert "The report could not be written: no right to write" in caplog.messages


def test_a_run_that_asks_for_no_page_writes_none(run: Run[Any], tmp_path: Path) -> None:
    settings = run.settings.model_copy(update={"report": False})
    quiet = dataclasses.replace(run, settings=settings)
    assert written(quiet, tmp_path) == summary_for(quiet)
    assert not run.output().exists("index.html")
    assert settings.image_settings() == run.settings.image_settings()


def comparison() -> Comparison:
    means: dict[str, dict[str, float | None]] = {
        "mine<b>": dict.fromkeys(METRIC_NAMES, 0.5),
        "other": dict.fromkeys(METRIC_NAMES, 0.25) | {"en": 0.75},
        "third": dict.fromkeys(METRIC_NAMES, None),
    }
    counts = dict.fromkeys(METRIC_NAMES, 4)
    return Comparison(tuple(means), dict.fromkeys(means, 4), 4, counts, means, "published-1")


def test_a_comparison_has_its_table_in_every_order(run: Run[Any], tmp_path: Path) -> None:
    summary: Any = summary_for(run)
    made = write_comparison_report(run, summary, comparison(), flow="evaluate")
    assert made.report == run.output().url(f"{run.folder}/report.html")
    page = page_of(run)
    assert complaints(page) == []
    tables = parsed(page).findall(".//table[@class='nights']")
    firsts = ["".join(table.find("./tbody/tr/th").itertext()) for table in tables]  # type: ignore[union-attr]
    assert firsts == ["mine<b>"] * 6 + ["other"] + ["mine<b>"]
    assert "0.5000 (1)" in texts(page)
