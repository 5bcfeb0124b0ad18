"""A temporary Prefect server for a run that is started by hand, begun long before it is needed.

Prefect would start one by itself, when the flow is called, and would load the server's modules into
the run's process too. This one starts while the run loads its own, with the garbage collector out
of the way, and leaves nothing to the run but an address. It keeps its history where Prefect's does.

Run by its path, it is the server.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from actors.session_reaper import wait_until_orphaned
from fusion_core.errors import FuseArchiveError

_START_SECONDS = 180.0  # a first start makes the database, and the machine may be busy
_END_SECONDS = 5.0
_API_URL = "PREFECT_API_URL"
_OF_A_TEMPORARY_ONE = {
    "PREFECT_UI_ENABLED": "0",
    "PREFECT__SERVER_EPHEMERAL": "1",
    "PREFECT__SERVER_FINAL": "1",
}


class PrefectServerError(FuseArchiveError):
    """The temporary Prefect server did not start."""


def start_server() -> Callable[[], None]:
    """Begin to start a server that ends with this process, and return what waits for it.

    Call it before Prefect is imported, which takes its address from the environment. Where another
    server is configured, or Prefect is loaded already, nothing is done. Where a file may name one,
    Prefect is asked as soon as it is there: a server that it started by itself would be in this
    process's group, whose signals would end it before the run has told it how it ended.

    Returns:
        To be called before the first flow; raises PrefectServerError if the server did not start.
    """
    if _API_URL in os.environ or "prefect" in sys.modules:
        return lambda: None
    return _start_unless_configured if _may_be_configured() else _start()


def _start_unless_configured() -> None:
    from prefect import context, settings

    known = settings.get_current_settings()
    if known.api.url is None and known.server.ephemeral.enabled:
        wait = _start()
        context.refresh_global_settings_context()
        wait()


def _start() -> Callable[[], None]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
        process = subprocess.Popen(
            # Without this folder, whose modules have the names of others.
            [sys.executable, "-P", __file__, str(listener.fileno()), str(os.getpid())],
            env={**os.environ, **_OF_A_TEMPORARY_ONE},
            pass_fds=[listener.fileno()],
            # Ctrl-C is for the run, which tells the server how it ended.
            start_new_session=True,
        )
    os.environ[_API_URL] = url
    # Prefect sends its last messages at the end of the process; what is registered first ends last.
    atexit.register(_end, process)
    return lambda: _wait(process, url)


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    """Wait for the first answer: the listener is there, so the question waits in its queue."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=_START_SECONDS):
            return
    except (urllib.error.URLError, OSError) as error:
        code = process.poll()
        raise PrefectServerError(
            f"the temporary Prefect server gave no answer ({error}; exit code {code}); expected "
            f"one within {_START_SECONDS:g} s. What it printed is above. Or start one by 'prefect "
            "server start', and name it in PREFECT_API_URL"
        ) from error


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _may_be_configured() -> bool:
    """Tell whether a file may name a server; asking Prefect would cost its whole import."""
    home = Path(os.environ.get("PREFECT_HOME", "~/.prefect")).expanduser()
    profiles = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))
    words = {profiles: _API_URL, Path(".env"): _API_URL, Path("pyproject.toml"): "[tool.prefect"}
    return Path("prefect.toml").exists() or any(
        file.is_file() and word in file.read_text(errors="replace") for file, word in words.items()
    )


def _serve(listener: socket.socket, parent: int) -> None:
    """Be the server, until this process is ended or its parent is gone."""
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()
    gc.disable()  # what is imported stays; looking through it again and again takes a fifth of it
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    gc.freeze()
    gc.enable()
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on")).run([listener])


def _end_after(parent: int) -> None:
    wait_until_orphaned(parent)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
