"""The one place that imports OpenVINO and asks it: without its telemetry, and with its errors."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from numpy.typing import NDArray

from fusion_core.errors import SettingsError


def is_installed() -> bool:
    """Tell whether OpenVINO is installed, without importing it."""
    return importlib.util.find_spec("openvino") is not None


def address_space_is_limited() -> bool:
    """Tell whether the system refuses this process memory beyond a limit, as ``ulimit -v`` sets."""
    if sys.platform == "win32":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


@cache
def openvino() -> Any:
    """Import OpenVINO.

    ``import openvino`` by itself reports to its makers, with consent assumed, unless a file in the
    user's home or a variable of CI systems says otherwise. The package that does it,
    openvino_telemetry, can be absent, for which OpenVINO brings a stand-in that does nothing; so it
    is made to look absent. A program that has imported either before has chosen for itself.

    Raises:
        SettingsError: It isn't installed, or can't be loaded.
    """
    if "openvino" not in sys.modules:
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino as package
    except ImportError as error:
        raise SettingsError(
            f"engine is openvino, which can't be loaded here: {error}. Install it by "
            "pip install 'fuse-archive[cpu]', or set engine to auto or eager."
        ) from error
    return package


def infer(
    program: Any, inputs: Mapping[str, NDArray[Any]], *, may_be_empty: bool = False
) -> dict[Any, NDArray[Any]]:
    """Compute a compiled program, in a request of its own.

    A thread that hung and was given up may still hold another request.

    Args:
        program: OpenVINO's ``CompiledModel``.
        inputs: Its inputs by name.
        may_be_empty: Whether the program itself may give empty outputs.

    Returns:
        Its outputs, which are the caller's own; found by OpenVINO's port, by name or by number.

    Raises:
        MemoryError: Memory ran out. OpenVINO raises nothing where the system refuses some: its
            outputs are empty then.
        Exception: Whatever else OpenVINO raises.
    """
    try:
        found: dict[Any, NDArray[Any]] = program.create_infer_request().infer(
            inputs, share_inputs=True
        )
        if not (may_be_empty or all(values.size for values in found.values())):
            raise MemoryError("OpenVINO found no memory and gave empty outputs")
    except Exception:
        program.release_memory()
        raise
    return found
