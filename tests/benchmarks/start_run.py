"""Starts ``fuse-archive run`` and tells when the first fused pair is there, and what that took."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from processes import command, descendants

_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE = 300.0
_KINDS = {
    "prefect_server.py": "Prefect's server",
    "uvicorn": "Prefect's server",
    "ray::": "workers and agents",
    "ray/": "Ray's own programs",
}


def first_pair(
    source: Path, worktree: Path, *, home: Path, model: str = "refinefuse"
) -> dict[str, Any]:
    """Run an archive until its first fused image is there, and end the run.

    Args:
        source: The archive.
        worktree: The checkout whose code runs.
        home: Where Prefect keeps its database.
        model: What fuses.

    Returns:
        ``seconds`` from the start of the process on, and ``cpu_seconds`` of all its processes,
        also by their kind.

    Raises:
        RuntimeError: The run ended, or took too long, without a fused image.
    """
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile("w+") as log:
        arguments = ["run", "--source", str(source), "--output", f"{name}/out", "--model", model]
        kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-c", "from flows.cli import main; main()", *arguments],
            env=kept | {"PYTHONPATH": str(worktree), "PREFECT_HOME": str(home)},
            cwd=name,
            stdout=log,
            stderr=log,
        )
        try:
            while not any(Path(name).glob("out/fused/*/*.png")):
                if process.poll() is not None or time.monotonic() - began > _PATIENCE:
                    log.seek(0)
                    raise RuntimeError(f"no fused pair; the run said: {log.read()[-3000:]}")
                time.sleep(0.02)
            seconds = time.monotonic() - began
            cpu = _cpu_seconds(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
    return {"seconds": seconds, "cpu_seconds": sum(cpu.values()), "cpu_seconds_of": dict(cpu)}


def _cpu_seconds(pid: int) -> Counter[str]:
    """Return what the living processes below one have computed, by their kind."""
    found: Counter[str] = Counter()
    for one in {pid, *descendants(pid)}:
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        line = command(one)
        kind = next((kind for word, kind in _KINDS.items() if word in line), "the run's process")
        found[kind] += (int(fields[11]) + int(fields[12])) / _TICKS
    return found
