"""Measures how long pandas, DuckDB and Polars take for the README's queries over a manifest.

    python tests/benchmarks/bench_readers.py [--rows 10000000] [--only local]

The manifest is made by the publisher's own code of invented rows, and is read from a local folder,
from an S3 server of this process (moto), and from a radosgw where one is installed. Each query is
run in a process of its own, three times in turn; the record holds the medians. Exits with 1 where a
bar isn't held: pandas reads eight columns of a million rows in 3 s, DuckDB counts ten million by
status in 2 s, both from a local disk.
"""
