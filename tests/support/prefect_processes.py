"""A Prefect server and workers as processes of their own, as an operator runs them."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import yaml
from prefect_database import put_database

ROOT = Path(__file__).resolve().parents[2]
POOL = "fuse-archive"


class PrefectServer:
    """A running server and the command line that talks to it."""

    def __init__(self, folder: Path, environment: Mapping[str, str]):
        self.folder = folder
        self.environment = dict(environment)

    def cli(self, *arguments: str, timeout: float = 120) -> str:
        """Run a prefect command and return what it printed; raises where it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def deploy(self, settings: Mapping[str, Any], cron: str | None = None) -> None:
        """Deploy infra/prefect.yaml as it is, but for the nightly settings and time of day."""
        document = yaml.safe_load((ROOT / "infra/prefect.yaml").read_text())
        deployment = next(one for one in document["deployments"] if one["name"] == "nightly")
        deployment["parameters"]["settings"] = dict(settings)
        if cron:
            deployment["schedules"][0]["cron"] = cron
        else:
            deployment["schedules"] = []
        path = self.folder / "prefect.yaml"
        path.write_text(yaml.safe_dump(document))
        self.cli("--no-prompt", "deploy", "--prefect-file", str(path), "--all")

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker; the caller ends it."""
        log = (self.folder / f"worker-{time.monotonic_ns()}.log").open("wb")
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL],
            env=self.environment,
            cwd=self.folder,  # not the repository: the installed package must do
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def run_in_background(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start ``prefect deployment run --watch``."""
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", "deployment", "run", "--watch", *arguments],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )

    def ask(self, path: str, body: Any = None) -> Any:
        """Ask Prefect's API as its interface in the browser does, with a body by POST.

        A command of Prefect's takes seconds to load what it asks with. The database is SQLite:
        while that is locked the API answers 503, and its own clients ask again.
        """
        request = urllib.request.Request(
            f"{self.environment['PREFECT_API_URL']}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or time.monotonic() > until:
                    raise
            time.sleep(1)

    def newest_run(self) -> str:
        """Return the id of the flow run that was created last."""
        newest = {"sort": "EXPECTED_START_TIME_DESC", "limit": 1}
        return str(self.ask("/flow_runs/filter", newest)[0]["id"])

    def declare_crashed(self, flow_run: str) -> None:
        """Tell the server that a run is dead, which frees its place in the deployment's limit.

        Left alone, the server finds out when the run's lease expires, 300 s after its last sign.
        """
        crashed = {"state": {"type": "CRASHED"}, "force": True}
        assert self.ask(f"/flow_runs/{flow_run}/set_state", crashed)["status"] == "ACCEPT"

    def logs(self) -> str:
        """Return what all workers printed, flow runs included."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("worker-*.log")))


@contextmanager
def prefect_server(folder: Path, extra: Mapping[str, str]) -> Iterator[PrefectServer]:
    """Start a server on a free port of 127.0.0.1 and create the work pool."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = folder / "home"
    put_database(home)
    environment = {name: value for name, value in os.environ.items() if "PREFECT" not in name}
    environment |= {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "DO_NOT_TRACK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        **extra,
    }
    log = (folder / "server.log").open("wb")
    command = ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, stdout=log, stderr=subprocess.STDOUT
    )
    try:
        _wait_healthy(f"http://127.0.0.1:{port}/api/health", process)
        server = PrefectServer(folder, environment)
        # As an operator types it: it brings the template of jobs, which a bare pool has not.
        server.cli("work-pool", "create", POOL, "--type", "process")
        yield server
    finally:
        stop(process, patience=3)  # it waits for clients that keep their connection
        shutil.rmtree(home, ignore_errors=True)


def stop(process: subprocess.Popen[bytes], patience: float = 20) -> None:
    """End a process politely, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_healthy(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert process.poll() is None, "the Prefect server ended; see server.log"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise AssertionError("the Prefect server did not answer within 120 s")
