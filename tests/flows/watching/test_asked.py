import socket
import sys

import pytest
from tiny import settings_for

from flows.watching.asked import check_watching, no_traces, traces_asked
from fusion_core.errors import SettingsError
from fusion_core.settings import FuseArchiveSettings

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}


def asking(**values: object) -> FuseArchiveSettings:
    return settings_for("s3://archive", "s3://results", "mean", **values)


@pytest.mark.parametrize(
    "values", [{"metrics_port": 0}, {"metrics_push": "http://pushgateway:9091"}]
)
def test_metrics_without_their_extra_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, object]
) -> None:
    check_watching(asking(**values))
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    check_watching(asking())
    (name,) = values
    with pytest.raises(SettingsError, match=rf"{name} is set .*'fuse-archive\[metrics\]'"):
        check_watching(asking(**values))


def test_a_port_that_is_taken_is_refused_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"metrics_port {port} of 127.0.0.1 .* free one"):
            check_watching(asking(metrics_port=port))
    check_watching(asking(metrics_port=port))


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "nights"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        (ENDPOINT, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "true"}, False),
        ({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_asked_for_by_their_endpoint(environ: dict[str, str], asked: bool) -> None:
    assert traces_asked(environ) == asked


def test_why_there_are_no_traces_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert no_traces(ENDPOINT) is None
    assert no_traces({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}) is None
    told = no_traces({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert told is not None
    assert "is grpc, and only http/protobuf" in told
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    assert "pip install 'fuse-archive[metrics]'" in (no_traces(ENDPOINT) or "")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter", None)
    assert "pip install 'fuse-archive[metrics]'" in (no_traces(ENDPOINT) or "")
