"""One ``fuse-archive`` in a process of its own, which may be killed and started again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from processes import kill_tree

_TAIL = 3000
_LONGEST_END = 30.0


class Driver:
    """A running command line.

    Args:
        arguments: Of ``fuse-archive``, its command first.
        environment: All of its environment.
        log: Where what it prints goes.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path):
        self._log = log
        self.began = time.monotonic()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).parent / "fuse-archive"), *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=log.parent,  # not the repository: the installed package must do
            )

    def exit_code(self) -> int | None:
        """Return its exit code, None while it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """SIGKILL it and all that it started itself."""
        kill_tree(self._process.pid)
        self._process.wait()

    def wait(self, seconds: float = _LONGEST_END) -> int:
        """Wait for the end of one that is about to end; returns its exit code."""
        return self._process.wait(timeout=seconds)

    def tail(self) -> str:
        """Return the end of what it printed."""
        return self._log.read_text(errors="replace")[-_TAIL:]


def run_arguments(settings: Mapping[str, str]) -> list[str]:
    """Return the words of a run that is gentle to the machine, and gives up no pair for good.

    Args:
        settings: Further ones, by name.
    """
    values = {
        "worker": "cpu:1",
        "io-threads": "2",
        "precision": "fp32",
        "engine": "eager",  # workers begin so often that OpenVINO's start was a sixth of all
        "contact-sheet": "0",
        "max-failed": "1",
        "max-attempts": "1000",
        "retry-hours": "0",
        "publish-seconds": "0.5",  # many times a run, so that faults hit publishing too
        "worker-patience": "60",
        **settings,
    }
    words = [word for name, value in values.items() for word in (f"--{name}", value)]
    return ["run", "--no-report", *words]  # as for the sheet: nobody looks at these nights


def clean_arguments(output: str) -> list[str]:
    """Return the words of a cleaning that leaves nothing because it is young.

    Args:
        output: URL of the output.
    """
    return ["clean", "--output", output, "--days", "0", "--yes"]
