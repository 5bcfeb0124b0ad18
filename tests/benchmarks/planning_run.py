"""Plans one night as a run does, from the listing on, and tells what that took.

    python tests/benchmarks/planning_run.py CASE

with a case as JSON, see ``Night``, prints a JSON line. Each night has a process of its own, whose
peak of memory is that of the driver.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from peak_memory import peak_bytes
from planning_history import MODEL_HASH, SETTINGS_HASH, new_files

from fusion_core.archive.index.key_index import open_index
from fusion_core.archive.index.update import merge_shards
from fusion_core.archive.older import split_by_version
from fusion_core.archive.planning import plan_pairs
from fusion_core.jobs.listing import pair_batches
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

_TODAY = dt.date(2026, 11, 22)


@dataclass(frozen=True)
class Night:
    """What is planned.

    Attributes:
        output: Folder with the history, of ``write_history``; an empty one for a first night.
        kind: Of the pair ids.
        pairs: How many are new, and listed.
        counted: Whether to count what is asked of the output; that takes time, too.
    """

    output: str
    kind: str
    pairs: int
    counted: bool = False


def planned(night: Night) -> dict[str, Any]:
    """Plan a night, and return seconds, memory and counts."""
    output = CountedStorage(night.output) if night.counted else Storage(night.output)
    settings = FuseArchiveSettings(
        source=night.output, output=night.output, ir="ir/{pair:path}.png", vi="vi/{pair:path}.png"
    )
    before = peak_bytes() / 1e6
    with tempfile.TemporaryDirectory(dir=Path(night.output).parent) as name:
        folder = Path(name)
        began, cpu = time.perf_counter(), time.process_time()
        listing = new_files(night.kind, night.pairs)
        found = pair_batches(
            settings, listing, output, date=_TODAY, storage_options=None, folder=folder
        )
        listed = time.perf_counter()
        index = open_index(output, "manifest", folder, generation=2)
        opened = time.perf_counter()
        plan = plan_pairs(found, index, _split, folder)
        ended = time.perf_counter()
        told = {
            "cpu_seconds": time.process_time() - cpu,
            "peak_mb": peak_bytes() / 1e6,
            **(output.told() if isinstance(output, CountedStorage) else {}),
        }
        merge_shards(output, "manifest", folder)  # as a run does at its end
        return {
            **asdict(night),
            "todo": len(plan.todo),
            "history": index.state.rows,
            "seconds": ended - began,
            "seconds_pairing": listed - began,
            "seconds_index": opened - listed,
            "seconds_plan": ended - opened,
            "peak_mb_before": before,
            **told,
            "seconds_merging": time.perf_counter() - ended,
            "peak_mb_merging": peak_bytes() / 1e6,
        }


def _split(rows: Any) -> Any:
    own = rows.filter(pc.equal(rows["model_hash"], MODEL_HASH))
    return split_by_version(own, SETTINGS_HASH, [])


class CountedStorage(Storage):
    """A local folder that is read and written as a bucket is, and counts what it is asked for."""

    def __init__(self, url: str):
        super().__init__(url, {"auto_mkdir": True})
        self._counting = _Counting(super().fs)

    @property
    def fs(self) -> Any:
        """The file system that counts."""
        return self._counting

    @property
    def is_local(self) -> bool:
        """No: local files are read past the file system."""
        return False

    def told(self) -> dict[str, Any]:
        """Return how many objects and bytes were read and written, in how many requests."""
        counting = self._counting
        return {
            "objects_read": len(counting.read_paths),
            "objects_written": len(counting.written_paths),
            **counting.counts,
        }


class _Counting:
    def __init__(self, fs: Any):
        self._fs = fs
        self.counts: Counter[str] = Counter(requests=0, bytes_read=0, bytes_written=0)
        self.read_paths: set[str] = set()
        self.written_paths: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fs, name)
        return self._asked(found) if name in ("info", "find", "exists", "rm_file") else found

    def _asked(self, call: Any) -> Any:
        def counted(*given: Any, **options: Any) -> Any:
            self.counts["requests"] += 1
            return call(*given, **options)

        return counted

    def read(self, path: str, size: int) -> None:
        """Count one read."""
        self.counts["requests"] += 1
        self.counts["bytes_read"] += size
        self.read_paths.add(path)

    def written(self, path: str, size: int) -> None:
        """Count one write."""
        self.counts["requests"] += 1
        self.counts["bytes_written"] += size
        self.written_paths.add(path)

    def cat_file(self, path: str, start: Any = None, end: Any = None, **options: Any) -> bytes:
        """Read bytes of an object."""
        body: bytes = self._fs.cat_file(path, start=start, end=end, **options)
        self.read(path, len(body))
        return body

    def open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        """Open an object."""
        file = self._fs.open(path, mode, **options)
        if mode != "rb":
            raise AssertionError(f"{path} is opened for {mode}, which nothing counts")
        plain = file.read

        def read(size: int = -1) -> bytes:
            body: bytes = plain(size)
            self.read(path, len(body))
            return body

        file.read = read
        return file

    def get_file(self, path: str, local: str, **options: Any) -> None:
        """Copy an object to a local file."""
        self._fs.get_file(path, local, **options)
        self.read(path, Path(local).stat().st_size)

    def pipe_file(self, path: str, value: bytes, **options: Any) -> None:
        """Write an object."""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._fs.pipe_file(path, value, **options)
        self.written(path, len(value))

    def put_file(self, local: str, path: str, mode: str = "overwrite", **options: Any) -> None:
        """Write an object of a local file."""
        if mode == "create" and self._fs.exists(path):
            raise FileExistsError(path)
        self._fs.put_file(local, path, **options)
        self.written(path, Path(local).stat().st_size)


if __name__ == "__main__":
    print(json.dumps(planned(Night(**json.loads(sys.argv[1])))))
