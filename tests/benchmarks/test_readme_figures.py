"""The README's figures are those of the record."""

import json

import pytest
import readme_figures
from record import RESULTS


def test_the_speed_of_the_readme_is_that_of_the_record() -> None:
    record = json.loads((RESULTS / "benchmark.json").read_text())
    found = readme_figures.section(readme_figures.README.read_text())
    again = "write it anew by python tests/benchmarks/readme_figures.py"
    assert found == readme_figures.speed(record), again


def test_another_record_gives_another_section() -> None:
    record = json.loads((RESULTS / "benchmark.json").read_text())
    (case,) = record["results"]["start"]["cases"].values()
    before = readme_figures.speed(record)
    case["seconds"]["median"] += 1
    assert readme_figures.speed(record) != before


def test_a_readme_without_the_marks_is_no_readme() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        readme_figures.section("# fuse-archive")
