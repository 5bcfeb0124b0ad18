"""The page on published methods says what their record says."""

import json
from typing import Any

import method_figures
import pytest

from fusion_core.metrics import METRIC_NAMES


@pytest.fixture
def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(method_figures.RECORD.read_text())
    return found


def test_the_figures_of_the_page_are_those_of_the_record(record: dict[str, Any]) -> None:
    found = method_figures.section(method_figures.PAGE.read_text())
    again = "write it anew by python tests/benchmarks/method_figures.py"
    assert found == method_figures.figures(record), again


def test_the_published_images_score_as_the_table_says(record: dict[str, Any]) -> None:
    table = method_figures.table()
    for method, part in record["results"]["images"].items():
        assert part["pairs"] == 42
        rounded = {metric: round(part["means"][metric], 4) for metric in METRIC_NAMES}
        assert rounded == table[method], method


def test_a_cell_that_differs_is_told(record: dict[str, Any]) -> None:
    means = record["results"]["images"]["SDNet"]["means"]
    means["qabf"] *= 1.02
    means["ag"] *= 0.99
    means["sf"] += 1e-7
    found = method_figures.difference(means, method_figures.table()["SDNet"])
    assert found == "2 cells, Qabf +2.00 %"


def test_every_network_names_its_weights_and_every_method_stands_on_the_page(
    record: dict[str, Any],
) -> None:
    page = method_figures.PAGE.read_text()
    for method, part in record["results"]["networks"].items():
        assert part["weights_sha256"][:16] in page, method
    for method in method_figures.table():
        assert f"- **{method}**" in page, method
