"""A small S3 server whose acknowledged objects are whole files, whenever it is killed.

moto forgets everything when it ends. ministack writes an object's bytes and its size and ETag as
two files, so that one which is overwritten at the moment of a SIGKILL (the lease's record is, all
the time) can't be read any more. An audit would blame the program under test for either. Here an
object is one file that appears by link or rename.

It knows what fuse-archive asks for, checks no signatures, and answers 501 to everything else,
multipart uploads included.

    python file_s3.py FOLDER PORT
"""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from file_store import FileStore, S3Error

_NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


class Handler(BaseHTTPRequestHandler):
    """Answers requests on the server's store."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # headers and body in one packet
    disable_nagle_algorithm = True
    store: FileStore

    def do_GET(self) -> None:
        self._answer(self._get)

    do_HEAD = do_GET

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_POST(self) -> None:
        self._answer(self._post)

    def do_DELETE(self) -> None:
        self._answer(self._delete)

    def handle_expect_100(self) -> bool:
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, respond: Callable[[], None]) -> None:
        parts = urlsplit(self.path)
        name, _, key = unquote(parts.path).lstrip("/").partition("/")
        self.bucket, self.key = name, key
        query = parse_qs(parts.query, keep_blank_values=True)
        self.query = {name: values[0] for name, values in query.items()}
        try:
            self.body = self._body()  # also of what is refused, for the connection goes on
        except (EOFError, ValueError):
            self.close_connection = True  # the client was lost in the middle of sending
            return
        try:
            respond()
        except S3Error as error:
            text = f"<Error><Code>{error.code}</Code><Message>{error.code}</Message></Error>"
            self._send(error.status, text.encode(), {"Content-Type": "application/xml"})

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b"".join(chunks(self.rfile))
        else:
            body = exactly(self.rfile, int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            return b"".join(chunks(io.BytesIO(body)))
        return body

    def _get(self) -> None:
        if not self.bucket:
            self._xml("ListAllMyBucketsResult", "<Buckets></Buckets>")
        elif self.key:
            self._object()
        elif "location" in self.query:
            self.store.bucket(self.bucket)
            self._xml("LocationConstraint", "")
        elif "uploads" in self.query:
            self._xml("ListMultipartUploadsResult", "<IsTruncated>false</IsTruncated>")
        else:
            self._list()

    def _object(self) -> None:
        file, etag, size, changed = self.store.open(self.bucket, self.key)
        headers = {
            "ETag": etag,
            "Last-Modified": formatdate(changed, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        with file:
            wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            if wanted is None or wanted.groups() == ("", ""):
                self._send(200, file.read(), headers)
                return
            first, last = wanted.groups()
            start = int(first) if first else max(size - int(last), 0)
            end = min(int(last), size - 1) if first and last else size - 1
            if start > end:
                raise S3Error(416, "InvalidRange")
            file.seek(start, os.SEEK_CUR)
            headers["Content-Range"] = f"bytes {start}-{end}/{size}"
            self._send(206, file.read(end - start + 1), headers)

    def _list(self) -> None:
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        after = self.query.get("continuation-token") or self.query.get("start-after", "")
        limit = int(self.query.get("max-keys", 1000))
        encode = quote if self.query.get("encoding-type") == "url" else escape
        entries: dict[str, str] = {}
        for key in self.store.keys(self.bucket):
            folder, found, _ = key[len(prefix) :].partition(delimiter or "\0")
            name = prefix + folder + delimiter if found and delimiter else key
            if not key.startswith(prefix) or name.encode() <= after.encode() or name in entries:
                continue
            if len(entries) == limit:
                token = escape(next(reversed(entries)))
                entries["\0"] = f"<NextContinuationToken>{token}</NextContinuationToken>"
                break
            folder = f"<CommonPrefixes><Prefix>{encode(name)}</Prefix></CommonPrefixes>"
            entries[name] = self._entry(key, encode(key)) if name == key else folder
        more = str("\0" in entries).lower()
        head = f"<EncodingType>{self.query.get('encoding-type', '')}</EncodingType>"
        self._xml(
            "ListBucketResult",
            f"{head}<IsTruncated>{more}</IsTruncated><KeyCount>{len(entries)}</KeyCount>"
            + "".join(entries.values()),
        )

    def _entry(self, key: str, shown: str) -> str:
        try:
            file, etag, size, changed = self.store.open(self.bucket, key)
        except S3Error:
            return ""  # deleted meanwhile
        file.close()
        moment = formatdate(changed, usegmt=True)
        return (
            f"<Contents><Key>{shown}</Key><LastModified>{moment}</LastModified>"
            f"<ETag>{escape(etag)}</ETag><Size>{size}</Size></Contents>"
        )

    def _put(self) -> None:
        if "x-amz-copy-source" in self.headers or "partNumber" in self.query:
            raise S3Error(501, "NotImplemented")
        if not self.key:
            (self.store.folder / self.bucket).mkdir(exist_ok=True)
            self._send(200, b"", {})
            return
        only_new = self.headers.get("If-None-Match") == "*"
        etag = self.store.put(
            self.bucket, self.key, self.body, only_new, self.headers.get("If-Match")
        )
        self._send(200, b"", {"ETag": etag})

    def _post(self) -> None:
        if "delete" not in self.query:
            raise S3Error(501, "NotImplemented")
        for item in ElementTree.fromstring(self.body).iter():
            if item.tag.endswith("}Key") or item.tag == "Key":
                self.store.delete(self.bucket, item.text or "")
        self._xml("DeleteResult", "")

    def _delete(self) -> None:
        if not self.key:
            raise S3Error(501, "NotImplemented")
        self.store.delete(self.bucket, self.key)
        self._send(204, b"", {})

    def _xml(self, name: str, content: str) -> None:
        text = f'<?xml version="1.0" encoding="UTF-8"?><{name} {_NAMESPACE}>{content}</{name}>'
        self._send(200, text.encode(), {"Content-Type": "application/xml"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(HTTPStatus(status))
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def chunks(stream: BinaryIO) -> Iterator[bytes]:
    """Read a body in chunks, HTTP's or those that S3 signs: a size in hex, bytes, and so on."""
    while size := int(stream.readline().partition(b";")[0], 16):
        yield exactly(stream, size)
        stream.readline()
    while stream.readline().strip():
        continue  # checksums


def exactly(stream: BinaryIO, size: int) -> bytes:
    """Read so many bytes; EOFError where there are fewer."""
    body = stream.read(size)
    if len(body) < size:
        raise EOFError(f"found {len(body)} bytes, expected {size}")
    return body


class Server(ThreadingHTTPServer):
    """Takes as many connections at once as the tests' clients open."""

    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that are killed in the middle of a request."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    Handler.store = FileStore(folder)
    server = Server(("127.0.0.1", port), Handler)
    # Reading stdin ends when the parent is gone, even killed, so no server is left behind.
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
