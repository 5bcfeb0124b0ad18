"""An S3 server in a process of its own that may be killed, and comes back on the same data."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, unquote

from s3_servers import START_SECONDS, S3Server, ServerError

_PROGRAM = Path(__file__).resolve().parents[1] / "chaos" / "file_s3.py"
# Below those that the system gives to outgoing connections: a client that asks for the port while
# the server is away could be given it as its own end, and connect to itself.
_PORTS = range(20_000, 32_000)
_ATTEMPTS = 5
_REMOVED = Path(".removed")  # where file_store keeps what was deleted


class PersistentS3:
    """The server of ``file_s3``; its port stays the same over restarts.

    Args:
        folder: Where it keeps its data.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        for attempt in range(1, _ATTEMPTS + 1):
            self.port = random.choice(_PORTS)
            try:
                self.start()
                break
            except ServerError:
                if attempt == _ATTEMPTS:
                    raise
        url = f"http://127.0.0.1:{self.port}"
        self.server = S3Server(url, "chaos", "not-a-secret", "us-east-1", "files")

    def start(self) -> None:
        """Start it, on the data that there is; returns when it answers."""
        command = [sys.executable, "-S", str(_PROGRAM), str(self.folder), str(self.port)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        if not ready or not process.stdout.readline():
            process.kill()
            process.wait()
            raise ServerError(f"no S3 server could be started on port {self.port}")
        self._process = process

    def kill(self) -> None:
        """End it by SIGKILL, in the middle of whatever it does."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """Return the keys that begin with a prefix, also while the server is away."""
        start = quote(prefix, safe="")
        names = os.listdir(self.folder / bucket)
        return sorted(unquote(name) for name in names if name.startswith(start))

    def removed(self, bucket: str, prefix: str) -> dict[str, bytes]:
        """Return by key what was deleted through the server below a prefix, as it last was."""
        return {
            unquote(path.name): path.read_bytes().partition(b"\n")[2]
            for path in self._files(_REMOVED / bucket, prefix)
        }

    def forget(self, bucket: str, prefix: str) -> None:
        """Delete all objects whose keys begin with a prefix, without asking the server."""
        for folder in (Path(bucket), _REMOVED / bucket):
            for path in self._files(folder, prefix):
                path.unlink()

    def _files(self, folder: Path, prefix: str) -> list[Path]:
        start = quote(prefix, safe="")
        paths = (self.folder / folder).glob("*")
        return sorted(path for path in paths if path.name.startswith(start))


@contextmanager
def persistent_s3(folder: Path) -> Iterator[PersistentS3]:
    """Run a server whose data lies in ``folder``; what was there is served."""
    server = PersistentS3(folder)
    try:
        yield server
    finally:
        server.kill()
