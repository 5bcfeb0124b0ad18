"""A server that keeps what is sent to it: a Pushgateway, or a receiver of traces, for a test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Receiver:
    """What was sent: method, path and body of each request."""

    url: str
    requests: list[tuple[str, str, bytes]] = field(default_factory=list)

    def spans(self) -> list[Span]:
        """Return all spans that were sent as OpenTelemetry's protocol has it."""
        found = []
        for _, path, body in self.requests:
            if path == "/v1/traces":
                sent = ExportTraceServiceRequest.FromString(body)
                found += [
                    span
                    for resource in sent.resource_spans
                    for scope in resource.scope_spans
                    for span in scope.spans
                ]
        return found

    def services(self) -> set[str]:
        """Return the names of the services that sent spans."""
        return {
            attribute.value.string_value
            for _, path, body in self.requests
            if path == "/v1/traces"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for attribute in resource.resource.attributes
            if attribute.key == "service.name"
        }


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Run a receiver on a free port during the block."""

    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests.append((self.command, self.path, body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = _take

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield receiver
        server.shutdown()
        thread.join()
