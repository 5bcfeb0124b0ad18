"""Moto's server as a process of its own: prints its port, and ends with its standard input.

moto looks whether an object is there, then writes (``S3Response.put_object``: ``get_object`` and
then, some calls later, ``backend.put_object``), and serves every request in a thread, so that two
conditional writes may both find nothing and both succeed. Here one request looks and writes at a
time, as stores do that keep the promise.

Usage: moto_process.py [PAUSE [torn]]: seconds between look and write, and whether others may come
in between, as moto by itself has it.
"""

import logging
import sys
import time
from threading import Lock
from typing import Any

from moto.s3.models import S3Backend
from moto.s3.responses import S3Response
from moto.server import MotoRequestHandler, ThreadedMotoServer

# What looks at an object and changes it; the last one completes an upload of parts.
_STEPS = ("put_object", "copy_object", "delete_object", "_key_response_post")


def write_in_one_step() -> None:
    """Have one request at a time look at an object and change it; its body has arrived by then."""
    lock = Lock()

    def locked(step: Any) -> Any:
        def one_at_a_time(*arguments: Any, **fields: Any) -> Any:
            with lock:
                return step(*arguments, **fields)

        return one_at_a_time

    for name in _STEPS:
        setattr(S3Response, name, locked(getattr(S3Response, name)))


def pause_before_writing(seconds: float) -> None:
    """Wait after the look, as a busy machine may make a thread wait there."""
    real = S3Backend.put_object

    def late(*arguments: Any, **fields: Any) -> Any:
        time.sleep(seconds)
        return real(*arguments, **fields)

    S3Backend.put_object = late  # type: ignore[method-assign]


def main(pause: str = "0", torn: str = "") -> None:
    """Serve until standard input ends."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # moto's errors bring a Server header, and a second one from http.server is an error to
    # aiohttp's strict parser, which `python -X dev` turns on.
    MotoRequestHandler.send_response = MotoRequestHandler.send_response_only  # type: ignore[method-assign]
    if float(pause):
        pause_before_writing(float(pause))
    if not torn:
        write_in_one_step()
    # The port is the system's choice, so no other process can take it between choosing and binding.
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()  # ends when the parent is gone, even killed, so no server is left behind


if __name__ == "__main__":
    main(*sys.argv[1:])
