"""A way to an S3 server on which answers get lost."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

ONE_TRY = {"retries": {"total_max_attempts": 1}}


@contextmanager
def losing_answers(url: str, losses: int) -> Iterator[str]:
    """A way to the server on which the answers to the first PUT requests get lost."""
    target = urlsplit(url)
    listener = socket.create_server(("127.0.0.1", 0))
    left = [losses]

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((target.hostname, target.port)) as server:
            answers = Thread(target=relay, args=(server, client))
            answers.start()
            while data := client.recv(1 << 16):
                if data.startswith(b"PUT ") and left[0]:
                    left[0] -= 1
                    lost.add(server)
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
            answers.join()

    def relay(server: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if server in lost and not data.startswith(b"HTTP/1.1 100"):
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                Thread(target=guarded, args=(listener.accept()[0],), daemon=True).start()

    def guarded(client: socket.socket) -> None:
        with suppress(OSError):
            serve(client)

    lost: set[socket.socket] = set()
    accepting = Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert left[0] == 0
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
