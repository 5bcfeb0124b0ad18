"""One ``fuse-archive run`` in a process of its own, which may be killed and started again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from processes import kill_tree

_TAIL = 3000


class Driver:
    """A running command line.

    Args:
        arguments: Of ``fuse-archive run``.
        environment: All of its environment.
        log: Where what it prints goes.
    """

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path):
        self._log = log
        self.began = time.monotonic()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).parent / "fuse-archive"), "run", *arguments],
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

    def tail(self) -> str:
        """Return the end of what it printed."""
        return self._log.read_text(errors="replace")[-_TAIL:]


def run_arguments(
    source: str, output: str, model: str, ray_address: str, chunk_pairs: int, fields: Sequence[str]
) -> list[str]:
    """Return the arguments of a run that is gentle to the machine.

    Args:
        source: URL of the archive.
        output: URL of the output.
        model: URL of the network.
        ray_address: Of the cluster's head.
        chunk_pairs: Pairs per chunk.
        fields: Names of the settings that there are.
    """
    values = {
        "source": source,
        "output": output,
        "model": model,
        "ray-address": ray_address,
        "chunk-pairs": str(chunk_pairs),
        "worker": "cpu:1",
        "max-workers": "2",
        "io-threads": "2",
        "precision": "fp32",
        "contact-sheet": "2",
        "lease-seconds": "3",  # a run that follows a killed one waits for so long
    }
    return [
        word
        for name, value in values.items()
        if name.replace("-", "_") in fields
        for word in (f"--{name}", value)
    ]
