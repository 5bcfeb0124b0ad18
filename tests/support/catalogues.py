"""What a catalogue shows, read as others read it, and a store that fails at a write."""

import json
import posixpath
from pathlib import Path

import pyarrow.parquet as pq

from fusion_core.errors import StorageError
from fusion_core.storage.store import Storage


def links(output: Storage, path: str, rel: str) -> list[str]:
    """Paths below the output that an object of a catalogue links to."""
    found = json.loads(output.read(path))["links"]
    folder = posixpath.dirname(path)
    return [
        posixpath.normpath(posixpath.join(folder, link["href"]))
        for link in found
        if link["rel"] == rel
    ]


def shown(output: Storage, root: str = "collection.json") -> dict[str, list[str]]:
    """Pair ids of all scenes by day, told from links and tables, which have to agree."""
    days = {}
    for child in links(output, root, "child"):
        items = links(output, child, "item")
        (table,) = links(output, child, "items")
        rows = pq.read_table(Path(output.root, table), partitioning=None)
        hrefs = [one[0]["href"] for one in rows["links"].to_pylist()]
        assert sorted(f"../../{path}" for path in items) == sorted(hrefs)
        assert links(output, child, "root") == links(output, child, "parent") == [root]
        days[child.split("/")[1].removeprefix("date=")] = rows["fuse-archive:pair_id"].to_pylist()
    everything = [name for day in days.values() for name in day]
    assert len(set(everything)) == len(everything)
    return days


def files(output: Storage) -> dict[str, bytes]:
    """All that a catalogue consists of."""
    paths = output.list()["path"].to_pylist()
    ours = [path for path in paths if path.startswith(("stac/", "catalog.", "collection."))]
    return {path: output.read(path) for path in ours}


class FailingStorage(Storage):
    """Fails at one of its writes and at all that follow, as a run does that is killed."""

    def __init__(self, url: str, writes: int = 1 << 30):
        super().__init__(url)
        self.left = writes
        self.written: list[str] = []
        self.seen: list[str] = []

    def read(self, path: str, size: int = 0, *, most: int | None = None) -> bytes:
        self.seen.append(path)
        return super().read(path, size, most=most)

    def write(self, path: str, body: bytes) -> None:
        if self.left == 0:
            raise StorageError("killed")
        self.left -= 1
        self.written.append(path)
        super().write(path, body)
