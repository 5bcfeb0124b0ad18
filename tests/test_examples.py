"""The examples in docstrings run, and the functions that users call have one."""

import doctest
import importlib
from pathlib import Path

import pytest

import fusion_core

ROOT = Path(__file__).resolve().parents[1]
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "fusion_core").rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_run(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


@pytest.mark.parametrize("name", fusion_core.__all__)
def test_what_the_package_shows_has_an_example(name: str) -> None:
    assert ">>> " in getattr(fusion_core, name).__doc__
