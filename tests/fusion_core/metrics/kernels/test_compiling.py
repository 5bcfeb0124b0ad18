"""Loops are compiled and kept, or compiled for this process alone."""

import numpy as np
import pytest
from numba.core import caching

from fusion_core.metrics.kernels import compiling
from fusion_core.metrics.kernels.compiling import compiled


def total(values: np.ndarray) -> float:
    found = 0.0
    for value in values:
        found += value
    return found


def test_what_is_compiled_gives_what_python_gives() -> None:
    assert compiled(total)(np.arange(5.0)) == 10


def test_where_nothing_can_be_kept_it_is_compiled_for_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        caching.FunctionCache(total)
    assert compiled(total)(np.arange(5.0)) == 10


def test_it_is_known_whether_numba_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiling.is_installed()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not compiling.is_installed.__wrapped__()
