"""Finds out what is to be watched, and refuses early what can't be."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from importlib.util import find_spec

from fusion_core.errors import SettingsError
from fusion_core.settings import WatchingSettings

INSTALL = "pip install 'fuse-archive[metrics]'"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"
_EXPORTER = "opentelemetry.exporter.otlp.proto.http"


def check_watching(settings: WatchingSettings) -> None:
    """Check that what the settings ask for can be had; cheap, so that it comes before any server.

    Raises:
        SettingsError: A package is missing, or the port can't be listened on.
    """
    port, push = settings.metrics_port, settings.metrics_push
    if port is None and push is None:
        return
    if not _installed("prometheus_client"):
        name = "metrics_port" if port is not None else "metrics_push"
        raise SettingsError(
            f"{name} is set and prometheus-client isn't installed; expected it for metrics. "
            f"{INSTALL}, or leave {name} out"
        )
    if port:
        check_port(settings.metrics_address, port)


def check_port(address: str, port: int) -> None:
    """Check that a port is free.

    Raises:
        SettingsError: It isn't, or the address is none of this machine's.
    """
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        socket.create_server((address, port), family=family).close()
    except OSError as error:
        raise SettingsError(
            f"metrics_port {port} of {address} can't be listened on ({error}); expected a free "
            "one. See what listens there, or give another: 0 takes a free one"
        ) from error


def traces_asked(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether OpenTelemetry's variables ask for traces: an endpoint, and none that forbids."""
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    none = environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none"
    return not (off or none) and any(environ.get(name) for name in _ENDPOINTS)


def no_traces(environ: Mapping[str, str] = os.environ) -> str | None:
    """Return why no traces can be sent although they are asked for; None where they can be.

    The variables may be those of a whole cluster, so this is for a warning, and fails no run.
    """
    protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), _HTTP)
    if protocol != _HTTP:
        return (
            f"no traces are sent: OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, and only {_HTTP} is "
            "spoken here. Set it, with an endpoint such as http://collector:4318"
        )
    if not (_installed("opentelemetry.sdk") and _installed(_EXPORTER)):
        return (
            "no traces are sent: OTEL_EXPORTER_OTLP_ENDPOINT is set and OpenTelemetry's SDK or "
            f"exporter isn't installed. {INSTALL}"
        )
    return None


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # not even the package above
        return False
