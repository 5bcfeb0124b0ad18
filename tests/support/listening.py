"""Which addresses processes listen on, read from the process table."""

import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from processes import command

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
_LISTEN = "0A"


class Listener(NamedTuple):
    """A listening TCP socket: its address and port, and the command line of who listens."""

    address: str
    port: int
    command: str


def listeners(pids: Iterable[int]) -> set[Listener]:
    """Return the listening TCP sockets of processes, which may be in another network namespace."""
    found = set()
    for pid in pids:
        with suppress(OSError):  # it ended meanwhile
            sockets = _listening(pid)
            held = _sockets(pid) & sockets.keys()
            found |= {Listener(*sockets[inode], command(pid).strip()) for inode in held}
    return found


def _sockets(pid: int) -> set[str]:
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # the folder is itself open while it is read
            found.add(os.readlink(entry).removeprefix("socket:[").rstrip("]"))
    return found


def _listening(pid: int) -> dict[str, tuple[str, int]]:
    """Return address and port of every listening socket of a process's namespace, by inode."""
    found = {}
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        table = Path(f"/proc/{pid}/net/{name}")
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            fields = line.split()
            if fields[3] == _LISTEN:
                address, port = fields[1].split(":")
                words = bytes.fromhex(address)  # of 32 bits, each in the machine's own order
                turned = b"".join(words[k : k + 4][::-1] for k in range(0, len(words), 4))
                found[fields[9]] = socket.inet_ntop(family, turned), int(port, 16)
    return found
