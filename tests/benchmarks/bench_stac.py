"""What a catalogue of a million scenes costs: to open, to ask, and to keep up night by night.

    python tests/benchmarks/bench_stac.py

writes results/stac.json. It takes a few minutes, and a gigabyte of the temporary folder.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pystac
from catalogued_scenes import many_scenes
from peak_memory import peak_bytes
from published_rows import publish
from record import spread, write

from fusion_core.archive.rows_file import MOST_ROWS
from fusion_core.scenes.stac_catalog import write_scene_catalog
from fusion_core.storage.store import Storage

A_DAY = 1000
NIGHT = 100
LATE = 10
"""Of a night's scenes so many were taken on each of two days before, and so many are fused anew."""

ROUNDS = 5


class CountingStorage(Storage):
    """Counts the objects that are read and written, and their bytes."""

    def __init__(self, url: str):
        super().__init__(url)
        self.counts = dict.fromkeys(
            ("objects_read", "bytes_read", "objects_written", "bytes_written"), 0
        )

    def read(self, path: str, size: int = 0, *, most: int | None = None) -> bytes:
        """Read as the storage does; what is missing counts as an object too."""
        self.counts["objects_read"] += 1
        body = super().read(path, size, most=most)
        self.counts["bytes_read"] += len(body)
        return body

    def write(self, path: str, body: bytes) -> None:
        """Write as the storage does."""
        self.counts["objects_written"] += 1
        self.counts["bytes_written"] += len(body)
        super().write(path, body)


def main() -> None:
    """Measure and write the record."""
    results: dict[str, Any] = {"scenes_a_day": A_DAY, "rounds": ROUNDS}
    for count in (10_000, 1_000_000):
        with tempfile.TemporaryDirectory() as name:
            results[f"{count}_scenes"] = measured(Path(name), count)
    print(write("stac", "python tests/benchmarks/bench_stac.py", results).read_text())


def measured(folder: Path, count: int) -> dict[str, Any]:
    """Measure with a catalogue of so many scenes."""
    output = Storage(str(folder))
    sizes = [min(MOST_ROWS, count - start) for start in range(0, count, MOST_ROWS)]
    for place, size in enumerate(sizes):
        publish(output, place + 1, [many_scenes(place * MOST_ROWS, size, A_DAY)])
    began = time.perf_counter()
    write_scene_catalog(output, "collection")
    whole = time.perf_counter() - began
    return {
        "written_whole": {
            "seconds": round(whole, 1),
            "peak_memory_mb": peak_bytes() >> 20,
            "root_bytes": output.info("collection.json")["size"],
        },
        "open": opened(folder, count),
        "night": [night(folder, count, len(sizes) + turn) for turn in range(1, ROUNDS + 1)],
    }


def opened(folder: Path, count: int) -> dict[str, Any]:
    """Time the root, a day, and questions to the table."""
    root = folder / "collection.json"
    day = sorted(folder.glob("stac/date=*/catalog.json"))[-1]
    items = f"read_parquet('{folder}/stac/date=*/items.parquet')"
    within = "bbox.xmin >= 138 AND bbox.xmax <= 146 AND bbox.ymin >= 30 AND bbox.ymax <= 46"

    def asked(sql: str) -> Any:
        with duckdb.connect() as connection:
            return connection.sql(sql).fetchall()

    ((found,),) = asked(f"SELECT count(*) FROM {items}")
    assert found == count
    return {
        "root_by_pystac": timed(lambda: list(pystac.Collection.from_file(root).get_child_links())),
        "day_by_pystac": timed(lambda: list(pystac.Catalog.from_file(day).get_item_links())),
        "count_by_duckdb": timed(lambda: asked(f"SELECT count(*) FROM {items}")),
        "box_by_duckdb": timed(lambda: asked(f"SELECT id, datetime FROM {items} WHERE {within}")),
    }


def timed(action: Callable[[], Any]) -> dict[str, float]:
    """Return the spread of an action's seconds, each time anew, and what of them was work.

    Work is counted over all cores; where it is far below the seconds, the machine had other work.
    """
    seconds, work = [], []
    for _ in range(ROUNDS):
        began, worked = time.perf_counter(), time.process_time()
        action()
        seconds.append(time.perf_counter() - began)
        work.append(time.process_time() - worked)
    return {**spread(seconds, 3), "work": round(statistics.median(work), 3)}


def night(folder: Path, count: int, generation: int) -> dict[str, Any]:
    """Publish a night's scenes, and measure what it costs to catalogue them."""
    turn = count + generation * A_DAY
    new = many_scenes(turn, NIGHT - 3 * LATE, A_DAY)
    late = [many_scenes(turn - days * A_DAY + 500, LATE, A_DAY) for days in (1, 2)]
    again = many_scenes(count // 2, LATE, A_DAY)
    place = again.schema.get_field_index("attempt")
    again = again.set_column(place, again.schema.field(place), pa.array([2] * LATE, pa.int32()))
    publish(Storage(str(folder)), generation, [pa.concat_tables([new, *late, again])])
    output = CountingStorage(str(folder))
    began = time.perf_counter()
    write_scene_catalog(output, "collection")
    return {"seconds": round(time.perf_counter() - began, 3), **output.counts}


if __name__ == "__main__":
    main()
