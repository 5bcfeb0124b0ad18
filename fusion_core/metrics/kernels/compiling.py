"""The one place that imports Numba, which compiles the loops of this package."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


@cache
def is_installed() -> bool:
    """Tell whether Numba is installed, without importing it."""
    return importlib.util.find_spec("numba") is not None


def compiled(function: Function) -> Function:
    """Compile a function of arrays and numbers when it is first called, and keep it on disk.

    Sums may be taken in any order, which is what makes vectors of their loops, products and sums
    fused, and signs of zeros ignored. Infinite values and NaN keep their meaning.
    """
    import numba

    relaxed = {"reassoc", "contract", "nsz", "arcp"}
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": relaxed}
    made: Function
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache can be written to
        made = numba.njit(**options)(function)
    return made
