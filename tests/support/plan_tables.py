"""Pairs, and rows about them, as plans are made of."""

import datetime as dt
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing

ROWS_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("pair_id", "ir_version", "vi_version", "status", "stage")]
    + [("ended", pa.timestamp("us", tz="UTC"))]
)
START = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
VERSIONS = st.sampled_from(["v1", "v2"])
STAGES = st.sampled_from([None, "read", "decode", "pair", "crash", "write"])
PAIRS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(VERSIONS, VERSIONS, st.integers(0, 50)), max_size=8
)
HISTORY = st.lists(st.tuples(st.sampled_from("abcdefgh"), VERSIONS, VERSIONS, STAGES), max_size=20)


def make_pairing(pairs: dict[str, tuple[str, str, int]]) -> Pairing:
    rows = [
        {
            "pair_id": pair_id,
            "ir_path": f"ir/{pair_id}",
            "ir_bytes": size,
            "ir_version": ir,
            "vi_path": f"vi/{pair_id}",
            "vi_bytes": 2 * size,
            "vi_version": vi,
        }
        for pair_id, (ir, vi, size) in sorted(pairs.items())
    ]
    return Pairing(pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA), (), (), ())


def make_rows(history: list[tuple[str, str, str, str | None]]) -> pa.Table:
    """Rows in the order of time; a stage is where the pair failed, None a success."""
    rows = [
        {
            "pair_id": pair_id,
            "ir_version": ir,
            "vi_version": vi,
            "status": "failed" if stage else "ok",
            "stage": stage,
            "ended": START + dt.timedelta(seconds=k),
        }
        for k, (pair_id, ir, vi, stage) in enumerate(history)
    ]
    return pa.Table.from_pylist(rows[::-1], schema=ROWS_SCHEMA)


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values))
