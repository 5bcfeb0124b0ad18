"""Which rows a sheet shows, and what becomes of a run whose sheet can't be drawn."""

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from image_rows import OWN, image_row, listed
from manifest_rows import row
from tiny import settings_for

from flows import contact_sheet
from flows.contact_sheet import compared_pairs, draw_sheet, fused_pairs, with_sources
from flows.run import Run
from fusion_core.archive import (
    IMAGE_COLUMNS,
    RUN_SCHEMA,
    RunRows,
    evenly,
    spill,
    stored_image,
)
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports import ShownPair
from fusion_core.storage import StoredFile


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run[Any]:
    """A run whose worker is this process."""
    monkeypatch.setattr(contact_sheet, "get_run_logger", lambda: logging.getLogger("sheet"))
    monkeypatch.setattr(contact_sheet, "run_on_worker", lambda work, *given: work(*given))
    settings = settings_for(tmp_path / "in", tmp_path / "out", "mean")
    return Run.begin(settings, settings_hash=OWN["settings_hash"], model_hash=OWN["model_hash"])


def rows_table(*rows: dict[str, Any]) -> pa.Table:
    numbers = {"fused_bytes": pa.int64(), **dict.fromkeys(METRIC_NAMES, pa.float64())}
    names = dict.fromkeys([*rows[0], *IMAGE_COLUMNS])
    return pa.Table.from_pylist(
        list(rows), pa.schema([(name, numbers.get(name, pa.string())) for name in names])
    )


def rows_of_run(folder: Path, *rows: dict[str, Any]) -> RunRows:
    """The rows of a run, in a local file."""
    table = pa.Table.from_pylist([row() | one for one in rows], RUN_SCHEMA)
    return RunRows(spill(folder, RUN_SCHEMA, [table]), folder)


def paths(pair: ShownPair, run: Run[Any]) -> list[str]:
    """Where a pair's files lie; all of them below the run's source and output."""
    assert {pair.ir.storage.root, pair.vi.storage.root} == {run.settings.source}
    assert {image.storage.root for image in pair.fused.values()} == {run.settings.output}
    return [pair.ir.path, pair.vi.path, *(image.path for image in pair.fused.values())]


def test_a_sheet_is_written_beside_the_runs_summary_with_the_flow_in_its_heading(
    run: Run[Any], tmp_path: Path
) -> None:
    given: list[Any] = []
    shown = [ShownPair("a", *[StoredFile(run.source(), "a.png")] * 2, {})]

    def write(*arguments: Any) -> str:
        given.extend(arguments)
        return "its url"

    assert draw_sheet(run, write, shown, "fuse-archive") == "its url"
    output, *others = given
    assert output.url("") == str(tmp_path / "out")
    name = run.identity.run_id
    title = f"fuse-archive {name}"
    assert others == [f"runs/{name}/contact_sheet.png", shown, title]


def test_a_drawing_that_fails_is_told_and_fails_nothing(
    run: Run[Any], caplog: pytest.LogCaptureFixture
) -> None:
    def write(*arguments: Any) -> str:
        raise ValueError("no image")

    shown = [ShownPair("a", *[StoredFile(run.source(), "a.png")] * 2, {})]
    assert draw_sheet(run, write, shown, "fuse-archive") is None
    assert caplog.messages == ["The contact sheet could not be drawn: no image"]
    assert draw_sheet(run, write, [], "fuse-archive") is None
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(("count", "expected"), [(3, [0, 3, 6]), (10, list(range(10))), (20, None)])
def test_rows_are_spread_evenly(count: int, expected: list[int] | None) -> None:
    assert evenly(range(10), count) == (expected or list(range(10)))


def test_files_of_fused_pairs_are_derived_and_no_url_of_a_row_is_followed(
    run: Run[Any], tmp_path: Path
) -> None:
    rows = rows_of_run(tmp_path, *(image_row(name) for name in ("c", "a", "b")))
    shown = fused_pairs(run, listed("a", "b", "c"), rows, 9)
    assert [pair.pair_id for pair in shown] == ["a", "b", "c"]
    for pair in shown:
        ir, vi, fused = paths(pair, run)
        assert (ir, vi) == (f"ir/{pair.pair_id}.png", f"vi/{pair.pair_id}.png")
        assert fused.startswith(f"fused/{OWN['settings_hash']}/{pair.pair_id}.")
        assert pair.fused["fused"].sha256 == "ab" * 32
        assert pair.metrics == dict.fromkeys(METRIC_NAMES, 0.5)
    assert len(fused_pairs(run, listed("a", "b", "c"), rows, 2)) == 2


def test_rows_of_other_pairs_versions_models_and_settings_are_not_shown(
    run: Run[Any], tmp_path: Path
) -> None:
    rows = rows_of_run(
        tmp_path,
        image_row("a"),
        image_row("a", settings_hash="../../../etc"),
        image_row("a", model_hash="n" * 64),
        image_row("a", ir_version="older"),
        image_row("a", fused_format="svg"),
        image_row("../b"),
    )
    assert [pair.pair_id for pair in fused_pairs(run, listed("a", "c"), rows, 9)] == ["a"]


def compared(**pairs: str) -> pa.Table:
    """Rows of models that are named by a letter each; a capital has failed."""
    rows = [
        image_row(pair_id, method=name.lower(), status="ok" if name.islower() else "failed")
        | {"model_hash": 64 * name.lower()}
        for pair_id, names in pairs.items()
        for name in names
    ]
    return with_sources(rows_table(*rows), listed(*pairs)).sort_by("pair_id")


def test_the_sheet_shows_pairs_that_all_models_have_in_the_order_of_the_models(
    run: Run[Any],
) -> None:
    rows = compared(p1="ab", p2="aB", p3="b", p4="ab")
    chosen = compared_pairs(run, rows, ["b", "a"], 4)
    assert [pair.pair_id for pair in chosen] == ["p1", "p4"]
    assert list(chosen[1].fused) == ["b", "a"]
    expected = [stored_image(run.output(), image_row("p4", model_hash=64 * m)) for m in "ba"]
    assert paths(chosen[1], run) == ["ir/p4.png", "vi/p4.png", *(e.path for e in expected if e)]


def test_the_pairs_of_a_comparison_are_spread_evenly(run: Run[Any]) -> None:
    rows = compared(**{f"p{k}": "ab" for k in range(9)})
    chosen = compared_pairs(run, rows, ["a", "b"], 3)
    assert [pair.pair_id for pair in chosen] == ["p0", "p3", "p6"]
    assert compared_pairs(run, rows, ["a", "b"], 0) == []


def test_a_model_without_an_image_takes_no_pair_from_the_sheet(run: Run[Any]) -> None:
    rows = compared(p1="aB", p2="aB")
    assert [list(p.fused) for p in compared_pairs(run, rows, ["a", "b"], 4)] == [["a"], ["a"]]
    assert compared_pairs(run, compared(p1="A", p2="B"), ["a", "b"], 4) == []
