"""Every test is run by one target: ``make test``, ``make test-slow`` or ``make test-browser``."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"


def recipe(target: str) -> str:
    makefile = (ROOT / "Makefile").read_text()
    (line,) = re.findall(rf"^{target}: .*\n\t(.+)$", makefile, re.MULTILINE)
    return str(line)


def test_what_one_lane_leaves_out_the_other_runs(pytestconfig: pytest.Config) -> None:
    assert recipe("test").endswith(" $(PYTEST) -m 'not long and not browser'")
    assert recipe("test-slow").endswith(" $(PYTEST) -m '$(LONG)'")
    assert "\ntest-slow: LONG ?= long\n" in (ROOT / "Makefile").read_text()
    # Nothing else chooses, so that a test that is named runs in any case.
    options = " ".join(pytestconfig.getini("addopts"))
    assert not re.search(r"(^| )-[mk]|--(deselect|ignore)", options)


def test_what_drives_a_browser_is_where_its_lane_looks() -> None:
    named = "mark." + "browser"
    found = {path.parent for path in TESTS.rglob("test_*.py") if named in path.read_text()}
    assert found == {TESTS / "browser"}


def test_both_lanes_have_tests() -> None:
    named = "mark." + "long"
    files = [path.read_text() for path in TESTS.rglob("test_*.py")]
    assert 0 < sum(named in text for text in files) < len(files) / 10, "a handful"


def test_ci_runs_both_lanes_the_s3_tests_on_a_real_store_and_the_browser() -> None:
    lines = (ROOT / ".ci/run").read_text().splitlines()
    lanes = [line.partition("make ")[2] for line in lines if "make test" in line]
    # The last one runs every test with that mark, the long ones as well.
    assert lanes == ["test", "test-slow LONG='long and not store'", "test-s3", "test-browser"]
    assert " -m browser " in (ROOT / "infra/test-browser.sh").read_text()
    assert " -m store " in (ROOT / "infra/test-s3.sh").read_text()
    # those install their packages first, and shut the network out by themselves
    assert {"make test-s3", "make test-browser"} <= {*lines}
