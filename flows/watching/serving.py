"""Serves the metrics of a run over HTTP while it is at work, and pushes them at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, pushadd_to_gateway, start_http_server

from flows.watching.asked import check_port
from flows.watching.warning_log import Logger

_PUSH_SECONDS = 5.0  # a gateway that is away holds up no run's end for longer


@contextmanager
def served(registry: CollectorRegistry, address: str, port: int) -> Iterator[str]:
    """Serve metrics during the block, and yield the URL.

    Args:
        registry: What to serve.
        address: Where to listen.
        port: On which port; 0 for a free one.

    Raises:
        SettingsError: The port can't be listened on.
    """
    check_port(address, port)
    server, thread = start_http_server(port, address, registry)
    host = f"[{address}]" if ":" in address else address
    try:
        yield f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def push(
    registry: CollectorRegistry, gateway: str, *, job: str, output: str, logger: Logger
) -> None:
    """Give metrics to a Pushgateway; one that is away is told of, and fails no run.

    What isn't among them stays as an earlier run pushed it: when a run last ended well outlives one
    that failed.

    Args:
        registry: What to push.
        gateway: Its URL.
        job: What the metrics are of: the flow.
        output: The output that the run writes to.
        logger: Takes a warning where the gateway can't be reached.
    """
    try:
        pushadd_to_gateway(gateway, job, registry, {"output": output}, timeout=_PUSH_SECONDS)
    except Exception as error:  # whatever it is: the run has done its work
        logger.warning("the metrics could not be pushed to %s: %s", gateway, error)
