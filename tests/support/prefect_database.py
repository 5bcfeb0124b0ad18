"""A database of Prefect's that is made once and copied: making one takes ten seconds."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

SHARED = "FUSE_TESTS_SHARED"
"""Names a folder of all processes of one run of the tests."""


def put_database(home: Path, name: str = "prefect.db") -> None:
    """Put an empty database into a new server's ``PREFECT_HOME``.

    Where the tests' processes share no folder, the server makes its own, as it does for a user.
    """
    home.mkdir(parents=True, exist_ok=True)
    if SHARED not in os.environ:
        return
    made = Path(os.environ[SHARED]) / "prefect.db"
    with made.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _make(made)
    shutil.copyfile(made, home / name)


@contextmanager
def api_with_database() -> Iterator[None]:
    """Have an API of this process's own during the block."""
    from prefect.testing import utilities  # takes seconds, and few processes of tests need it

    def folder() -> str:
        path = tempfile.mkdtemp()
        put_database(Path(path), "prefect-test.db")
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(utilities, "mkdtemp", folder)
        with utilities.prefect_test_harness(server_startup_timeout=120):
            yield


def _make(path: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        environment = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
        subprocess.run(
            [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"],
            env=environment | {"PREFECT_HOME": home},
            check=True,
            capture_output=True,
            timeout=120,
        )
        whole = path.with_suffix(".part")
        with (
            closing(sqlite3.connect(Path(home) / "prefect.db")) as source,
            closing(sqlite3.connect(whole)) as target,
        ):
            source.backup(target)
        whole.replace(path)
