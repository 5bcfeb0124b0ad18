import base64
import logging
import socket
import urllib.error
import urllib.request

import pytest
from attempts import attempt, chunk_result
from prometheus_client.parser import text_string_to_metric_families
from receivers import receiving

from flows.watching.run_metrics import RunMetrics
from flows.watching.run_state import RunState
from flows.watching.serving import push, served
from fusion_core.errors import SettingsError

LOG = logging.getLogger("serving-test")


def test_prometheus_finds_the_metrics_while_a_run_is_at_work_and_nothing_after_it() -> None:
    metrics = RunMetrics()
    with served(metrics.registry, "127.0.0.1", 0) as url:
        metrics.add(chunk_result(attempt("a"), attempt("b")), 0)
        with urllib.request.urlopen(url) as answer:
            families = {
                one.name: one for one in text_string_to_metric_families(answer.read().decode())
            }
    (sample,) = [
        one for one in families["fuse_archive_pairs"].samples if one.name.endswith("_total")
    ]
    assert (sample.value, sample.labels["outcome"]) == (2.0, "ok")
    assert not [name for name in families if not name.startswith("fuse_archive_")]
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url)


def test_a_port_that_is_taken_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(SettingsError, match="can't be listened on"),
            served(RunMetrics().registry, "127.0.0.1", port),
        ):
            pass


def test_metrics_are_added_to_what_the_gateway_has_of_the_output() -> None:
    metrics = RunMetrics()
    RunState(metrics).succeeded = False
    with receiving() as gateway:
        push(metrics.registry, gateway.url, job="score-archive", output="s3://out/a", logger=LOG)
    ((method, path, body),) = gateway.requests
    assert method == "POST"  # PUT would remove when a run last ended well
    output = base64.urlsafe_b64encode(b"s3://out/a").decode()
    assert path == f"/metrics/job/score-archive/output@base64/{output}"
    assert b"\nfuse_archive_run_success 0.0\n" in body
    assert b"\nfuse_archive_last_success_timestamp_seconds " not in body


def test_a_gateway_that_is_away_fails_no_run(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    push(RunMetrics().registry, url, job="fuse-archive", output="out", logger=LOG)
    assert f"could not be pushed to {url}: " in caplog.text
