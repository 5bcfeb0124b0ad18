"""How every benchmark measures, and the JSON record that it leaves."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_PACKAGES = ("fuse-archive", "torch", "numpy", "scipy", "rasterio", "opencv-python-headless")

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"


def alternate(functions: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Time functions in turns, so that what slows the machine for a while slows all of them.

    Each is called twice in a round and timed the second time, when its memory is warm.

    Returns:
        Seconds by function, one for each round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            function()
            begin = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - begin)
    return seconds


def spread(values: list[float], digits: int = 2) -> dict[str, float]:
    """Return median, quartiles and minimum."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    found = {"median": median, "quartile_1": low, "quartile_3": high, "minimum": min(values)}
    return {name: round(value, digits) for name, value in found.items()}


def ratios(over: list[float], under: list[float]) -> list[float]:
    """Divide two functions' seconds round by round."""
    return [a / b for a, b in zip(over, under, strict=True)]


def write(name: str, command: str, results: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write ``NAME.json`` into a folder: what was measured, by which command, on what."""
    record = {
        "benchmark": name,
        "command": command,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": {
            "cpu": _cpu(),
            "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        },
        "versions": {package: importlib.metadata.version(package) for package in _PACKAGES},
        "results": results,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(record, indent=2) + "\n")
    return path


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
