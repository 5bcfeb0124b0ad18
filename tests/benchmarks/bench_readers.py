"""Measures how long pandas, DuckDB and Polars take for the README's queries over a manifest.

    python tests/benchmarks/bench_readers.py

The manifest is made of invented rows by the code that publishes, a million rows a day. It is read
from a local disk, and from S3 servers of this machine: moto, and radosgw where that is installed.
These hold it in memory, which takes 4 GB. Each query runs in a process of its own, three times; the
record holds the medians. It exits with 1 where a bar isn't held: pandas reads eight columns of a
million rows in 3 s, and DuckDB counts ten million rows by status in 2 s, both from a local disk.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import s3fs
from generated_rows import run_rows
from published_rows import as_part
from record import write
from s3_servers import S3Server, moto_server, radosgw_server

from fusion_core.archive.layout import rows_path
from fusion_core.archive.rows_file import MOST_ROWS, grown
from fusion_core.storage.store import Storage

PROGRAM = Path(__file__).with_name("read_manifest_with.py")
A_DAY = 1_000_000
BARS = {("local", "pandas, eight columns of a day"): 3.0, ("local", "DuckDB, count by status"): 2.0}
QUERIES = {
    "pandas, eight columns of a day": "pandas_columns",
    "pandas, one pair of a day": "pandas_pair",
    "DuckDB, count by status": "duckdb_status",
    "DuckDB, one pair": "duckdb_pair",
    "DuckDB, means of a day": "duckdb_day",
    "Polars, count by status": "polars_status",
    "Polars, one pair": "polars_pair",
}


def make_manifest(output: Storage, days: int) -> dict[str, int]:
    """Publish a million rows for each of some days; returns the number of files and their bytes."""
    files = size = 0
    for number in range(days):
        day = dt.date(2026, 11, 1) + dt.timedelta(days=number)
        for place, rows in enumerate(_files(), 1):
            body = grown(b"", rows)
            output.write(rows_path(day, number + 1, place), body)
            files, size = files + 1, size + len(body)
    return {"files": files, "MB": round(size / 1e6)}


def _files() -> Iterator[pa.Table]:
    """Yield a day's rows, as many as a file holds at a time, with digests that don't compress."""
    waiting: list[pa.Table] = []
    for rows in run_rows(A_DAY):
        random = np.random.default_rng(len(waiting)).bytes(96 * len(rows)).hex()
        cut = (random[192 * k : 192 * k + 192] for k in range(len(rows)))
        parts = list(zip(*((text[:64], text[64:96], text[96:128]) for text in cut), strict=True))
        for name, values in zip(("fused_sha256", "ir_version", "vi_version"), parts, strict=True):
            rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
        waiting.append(as_part(rows))
        if sum(map(len, waiting)) >= MOST_ROWS:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def measured(url: str, environment: dict[str, str], wanted: dict[str, str]) -> dict[str, float]:
    """Run each query three times, in a process of its own each time; return the medians."""
    found: dict[str, list[float]] = {name: [] for name in wanted}
    for _ in range(3):
        for name, query in wanted.items():
            command = [sys.executable, str(PROGRAM), query, url]
            done = subprocess.run(
                command, stdout=subprocess.PIPE, env=os.environ | environment, check=True
            )
            found[name].append(json.loads(done.stdout)["seconds"])
    return {name: round(statistics.median(times), 3) for name, times in found.items()}


def on_s3(server: S3Server, made: Path) -> dict[str, float]:
    """Measure on an S3 server, with the files of a local output."""
    server.make_bucket("readers")
    os.environ |= server.env()
    s3fs.S3FileSystem.clear_instance_cache()  # it would go on with the server before
    output = Storage("s3://readers/out")
    for path in sorted(made.rglob("*.parquet")):
        output.write(str(path.relative_to(made)), path.read_bytes())
    return measured(output.url("manifest"), server.env(), QUERIES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--days", type=int, default=10, help="of a million rows each")
    parser.add_argument("--print", action="store_true", help="print, and write no record")
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, output = Path(name) / "out", Storage(f"{name}/out")
        made = {"rows": arguments.days * A_DAY, **make_manifest(output, arguments.days)}
        results["local"] = made | {"seconds": measured(output.url("manifest"), {}, QUERIES)}
        server = stack.enter_context(moto_server())
        results["moto"] = made | {"seconds": on_s3(server, folder)}
        with suppress(RuntimeError, FileNotFoundError):  # radosgw isn't installed
            (Path(name) / "ceph").mkdir()
            server = stack.enter_context(radosgw_server(Path(name) / "ceph"))
            results["radosgw"] = made | {"seconds": on_s3(server, folder)}
    late = [
        f"{query}, {where}: {results[where]['seconds'][query]} s, at most {most}"
        for (where, query), most in BARS.items()
        if results[where]["seconds"][query] > most
    ]
    print(json.dumps(results, indent=1))
    if not arguments.print:
        print(write("readers", "python tests/benchmarks/bench_readers.py", results))
    sys.exit("; ".join(late) or 0)


if __name__ == "__main__":
    main()
