"""The one place that imports OpenVINO, without the telemetry that comes with it."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from typing import Any

from fusion_core.errors import SettingsError


def is_installed() -> bool:
    """Tell whether OpenVINO is installed, without importing it."""
    return importlib.util.find_spec("openvino") is not None


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
