"""Which rows a sheet shows, and what becomes of a run whose sheet can't be drawn."""

import logging
from pathlib import Path
from typing import Any

import pytest
from tiny import settings_for

from flows import contact_sheet
from flows.contact_sheet import draw_sheet, evenly
from flows.run import Run


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run[Any]:
    """A run whose worker is this process."""
    monkeypatch.setattr(contact_sheet, "get_run_logger", lambda: logging.getLogger("sheet"))
    monkeypatch.setattr(contact_sheet, "run_on_worker", lambda work, *given: work(*given))
    return Run.begin(settings_for(tmp_path / "in", tmp_path / "out", "mean"), settings_hash="")


def test_a_sheet_is_written_beside_the_runs_summary_with_the_flow_in_its_heading(
    run: Run[Any], tmp_path: Path
) -> None:
    given: list[Any] = []

    def write(*arguments: Any) -> str:
        given.extend(arguments)
        return "its url"

    assert draw_sheet(run, write, [{"pair_id": "a"}], "fuse-archive") == "its url"
    output, *others = given
    assert output.url("") == str(tmp_path / "out")
    name = run.identity.run_id
    title = f"fuse-archive {name}"
    assert others == [f"runs/{name}/contact_sheet.png", [{"pair_id": "a"}], title]


def test_a_drawing_that_fails_is_told_and_fails_nothing(
    run: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:
    def write(*arguments: Any) -> str:
        raise ValueError("no image")

    assert draw_sheet(run, write, [{}], "fuse-archive") is None
    assert caplog.messages == ["The contact sheet could not be drawn: no image"]
    assert draw_sheet(run, write, [], "fuse-archive") is None
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(("count", "expected"), [(3, [0, 3, 6]), (10, list(range(10))), (20, None)])
def test_rows_are_spread_evenly(count: int, expected: list[int] | None) -> None:
    assert evenly(range(10), count) == (expected or list(range(10)))
