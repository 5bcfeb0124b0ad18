"""Starts the heartbeat's process, talks with it, and ends it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

_PROGRAM = """import sys
sys.path[:] = sys.argv[1:]
from fusion_core.archive.heartbeat import main
main()"""
_SPARE = 5.0  # seconds, for a busy machine to end a process that has nothing left to do
log = logging.getLogger(__name__)


class HeartbeatProcess:
    """A running ``archive.heartbeat``.

    Args:
        heard: Called from a thread with each message of the process, and with an empty one once it
            has ended.

    Raises:
        OSError: The process can't be started.
    """

    def __init__(self, heard: Callable[[dict[str, Any]], None]):
        self._heard = heard
        self._writing = threading.Lock()
        self._process = subprocess.Popen(
            # It finds the same modules as this process, and none in a folder that this one is in.
            [sys.executable, "-P", "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for the run, which then gives the lease back
        )
        self._reader = threading.Thread(target=self._listen, name="heartbeat", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, message: dict[str, Any]) -> None:
        """Send it a message; one that has ended hears nothing.

        Raises:
            TypeError: The message holds what JSON doesn't.
        """
        line = json.dumps(message).encode() + b"\n"
        with self._writing, suppress(OSError, ValueError):
            assert self._process.stdin is not None
            while line:
                line = line[self._process.stdin.write(line) or 0 :]

    def stop(self, patience: float) -> bool:
        """End it.

        Args:
            patience: Seconds that a beat may take that is being written.

        Returns:
            Whether it ended by itself, so that nothing of it can arrive at the store later.
        """
        if self._process.poll() is not None:
            return True
        # Where it doesn't read, another thread may be held up in writing to it.
        if self._writing.acquire(timeout=_SPARE):
            with suppress(OSError):
                assert self._process.stdin is not None
                self._process.stdin.close()
            self._writing.release()
        try:
            ended = self._process.wait(patience + _SPARE) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            ended = False
        self._reader.join(_SPARE)
        return ended

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with suppress(ValueError):
                    self._heard(json.loads(line))
        self._process.wait()
        self._heard({})
