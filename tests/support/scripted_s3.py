"""An S3 server that answers what a test says, and notes what it was asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Request:
    """What was asked, with the headers' names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """Status, body and headers of an answer."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def refusal(status: int, code: str, more: str = "") -> Reply:
    """Return an error as S3 words it."""
    return Reply(status, f"<Error><Code>{code}</Code>{more}</Error>".encode())


def page(*entries: str, more: str = "") -> Reply:
    """Return a page of a listing: the inner XML of its entries, and the token of the next page."""
    told = "".join(f"<Contents><ETag>&quot;e&quot;</ETag>{entry}</Contents>" for entry in entries)
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    truncated = "true" if more else "false"
    body = (
        '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>{truncated}</IsTruncated>{token}{told}</ListBucketResult>"
    )
    return Reply(200, body.encode())


@contextmanager
def scripted_s3(
    answer: Callable[[Request], Reply],
) -> Iterator[tuple[dict[str, Any], list[Request]]]:
    """Start a server; yields the storage options that lead to it, and what it was asked so far."""
    asked: list[Request] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            fields = {name: values[0] for name, values in parse_qs(url.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.rfile.read(int(headers.get("content-length", 0)))
            request = Request(self.command, url.path, fields, headers)
            asked.append(request)
            reply = answer(request)
            self.send_response_only(reply.status)
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            host, port = server.server_address[:2]
            yield {"key": "k", "secret": "s", "endpoint_url": f"http://{host}:{port}"}, asked
        finally:
            server.shutdown()
