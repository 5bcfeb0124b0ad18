"""Files whose place is the trap: no files, closed, gone or changed since they were listed."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hostile_case import VI, Expected, Fused, saved, unread
from raw_images import raw_png, raw_tiff

WHOLE = {".png": raw_png(VI), ".tif": raw_tiff(VI)}
DAY = 86_400

Spoil = Callable[[Path], None]


@dataclass(frozen=True)
class Trap:
    """A place in an archive that doesn't keep still.

    Attributes:
        name: Names the case; without a suffix.
        how: What is done.
        expected: What must become of its pair.
        before: Done to the visible file, which is a good one, before the archive is listed.
        after: Done to it between list and read.
        suffix: Of its name.
    """

    name: str
    how: str
    expected: Expected
    before: Spoil | None = None
    after: Spoil | None = None
    suffix: str = ".png"


def traps() -> Iterator[Trap]:
    """All cases of this module but ``FIFO``, which may keep its reader waiting for ever."""
    gone = unread("is gone; it was there", error="SourceChangedError")
    changed = unread("changed in between", error="SourceChangedError")
    anything = unread("can't")
    yield Trap("closed-to-its-reader", "mode 000", anything, before=close)
    yield Trap("link-that-dangles", "symbolic link to nothing", gone, before=dangle)
    yield Trap("link-to-itself", "symbolic link to itself", anything, before=loop)
    yield Trap("link-to-a-folder", "symbolic link", anything, before=link_to_folder)
    yield Trap("link-to-a-file", "to an older file elsewhere", Fused(), before=link_to_file)
    yield Trap("socket", "a bound socket", anything, before=bind)
    for suffix in WHOLE:
        kind = suffix[1:]
        yield Trap(f"vanished-{kind}", "unlinked", gone, after=Path.unlink, suffix=suffix)
        yield Trap(f"grown-{kind}", "a byte more", changed, after=grow, suffix=suffix)
        yield Trap(f"changed-{kind}", "as large as before", changed, after=alter, suffix=suffix)
        yield Trap(f"emptied-{kind}", "truncated to 0 bytes", changed, after=empty, suffix=suffix)
        yield Trap(
            f"folder-since-{kind}",
            "a folder in its place",
            unread(),
            after=into_folder,
            suffix=suffix,
        )
    yield Trap("closed-since", "mode 000 after it was listed", anything, after=close)


def into_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


FIFO = Trap("fifo", "a named pipe that nobody writes to", unread("can't"), before=into_fifo)


def close(path: Path) -> None:
    path.chmod(0)


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def link_to_folder(path: Path) -> None:
    path.unlink()
    path.symlink_to("/")


def link_to_file(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    target = elsewhere / path.name
    shutil.move(path, target)
    os.utime(target, (DAY, DAY))
    path.symlink_to(target)


def bind(path: Path) -> None:
    path.unlink()
    here = os.getcwd()
    os.chdir(path.parent)  # the path of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def alter(path: Path) -> None:
    body = path.read_bytes()
    other = raw_tiff(VI[::-1]) if path.suffix == ".tif" else saved(VI // 2, "PNG").ljust(len(body))
    path.write_bytes(other[: len(body)].ljust(len(body), b"\0"))
    os.utime(path, (DAY, DAY))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def into_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
