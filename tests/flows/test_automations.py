"""Deployments and automations on a real server, which tells a real webhook of what happens."""

import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from prefect_processes import PrefectServer, prefect_server

from flows.automations import WATCHES

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(400)]

OPERATOR = """
import json, sys
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import get_client
from prefect.events import emit_event
from prefect.events.worker import EventsWorker
from prefect.states import Failed
from flows.deployment import deploy, write_deployment
from flows.night import DRIFT, EMPTY

folder, url = sys.argv[1:]
CustomWebhookNotificationBlock(
    name="ops", url=url, json_data={"subject": "{{subject}}", "body": "{{body}}"}
).save("ops", overwrite=True)
path = write_deployment(f"{folder}/prefect.yaml", source="s3://archive", output="s3://fused")
said = deploy(path, notify="custom-webhook/ops")
assert deploy(path, notify="custom-webhook/ops")[1:] == said[1:]  # it may be called again
with get_client(sync_client=True) as client:
    nightly = client.read_deployment_by_name("fuse-archive/nightly")
    automations = client.read_automations()
    run = client.create_flow_run_from_deployment(nightly.id)
    client.set_flow_run_state(run.id, Failed(message="3 of 8 pairs failed"), force=True)
related = {
    "prefect.resource.id": f"prefect.deployment.{nightly.id}",
    "prefect.resource.role": "deployment",
}
for event in (EMPTY, DRIFT):
    emit_event(
        event,
        resource={"prefect.resource.id": "fuse-archive.output.s3://fused"},
        related=[related],
        payload={"run": "20261129", "sentence": "0 pairs found.", "left": ["vif fell"]},
    )
EventsWorker.instance().drain()
print(json.dumps({"said": said, "names": sorted(one.name for one in automations)}))
"""


@pytest.fixture
def webhook() -> Iterator[tuple[str, "Queue[dict[str, str]]"]]:
    """An address that takes messages, and the messages."""
    messages: Queue[dict[str, str]] = Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            messages.put(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", messages
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    with prefect_server(tmp_path_factory.mktemp("prefect"), {}) as running:
        yield running


def operate(server: PrefectServer, script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_deployed_night_that_failed_found_nothing_or_drifted_is_told_of(
    server: PrefectServer, webhook: tuple[str, "Queue[dict[str, str]]"], tmp_path: Path
) -> None:
    url, messages = webhook
    found = json.loads(operate(server, OPERATOR, str(tmp_path), url).splitlines()[-1])
    assert found["names"] == sorted(watch.name for watch in WATCHES)
    assert "the work pool fuse-archive is there" in found["said"]
    told = {
        message["subject"]: message["body"] for message in (messages.get(timeout=60) for _ in "123")
    }
    assert "3 of 8 pairs failed" in told["A night of fuse-archive failed"]
    assert "/runs/flow-run/" in told["A night of fuse-archive failed"]
    assert "20261129: 0 pairs found." in told["A night of fuse-archive found nothing"]
    assert "vif fell" in told["The metrics of fuse-archive left what was expected"]
    asked = urllib.request.Request(
        f"{server.environment['PREFECT_API_URL']}/deployments/filter",
        data=b"{}",
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(asked, timeout=60) as answer:
        names = {one["name"] for one in json.load(answer)}
    assert {"nightly", "score", "evaluate", "train"} <= names


WITHOUT = """
import sys
from flows.deployment import deploy
from fusion_core.errors import FuseArchiveError
try:
    deploy(sys.argv[1], notify=sys.argv[2])
except FuseArchiveError as error:
    print(error)
"""


def test_a_block_that_is_not_there_and_a_server_that_is_not_there_are_named(
    server: PrefectServer, tmp_path: Path
) -> None:
    path = str(tmp_path / "prefect.yaml")
    Path(path).write_text((Path(__file__).parents[2] / "infra/prefect.yaml").read_text())
    said = operate(server, WITHOUT, path, "slack-webhook/nobody")
    assert "there is no notification block slack-webhook/nobody; expected TYPE/NAME" in said
    nowhere = PrefectServer(server.folder, server.environment)
    nowhere.environment["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
    assert "at http://127.0.0.1:9/api gives no answer" in operate(nowhere, WITHOUT, path, "a/b")
    del nowhere.environment["PREFECT_API_URL"]
    assert "PREFECT_API_URL isn't set" in operate(nowhere, WITHOUT, path, "a/b")
