"""Pairs, rows about attempts at them as plans are made of, and what plain Python plans."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing

PAIR_COLUMNS = ("pair_id", "ir_version", "vi_version")
SCORE_COLUMNS = ("pair_id", "method", "ir_version", "vi_version", "fused_version")
START = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Tried:
    """An attempt at a pair, or at a fused image of it, as its row tells.

    Attributes:
        key: The pair's values of ``PAIR_COLUMNS``, or the image's of ``SCORE_COLUMNS``.
        status: As in the row.
        stage: Likewise.
        number: That of the attempt; None in a row of a schema before 5.
        hour: When it ended, by the clock of its worker.
        run: The run that tried.
    """

    key: tuple[str, ...]
    status: str
    stage: str | None = None
    number: int | None = None
    hour: float = 0
    run: str = "r1"

    @property
    def place(self) -> tuple[int, float, str]:
        """By this, attempts follow each other."""
        return (self.number or 0, self.hour, self.run)

    @property
    def is_final(self) -> bool:
        of_the_pair = self.stage in ("decode", "pair", "encode")
        return self.status == "failed" and (self.number is not None or of_the_pair)

    @property
    def is_undone(self) -> bool:
        return self.status == "undone" or (self.status == "failed" and not self.is_final)

    @property
    def comes_again(self) -> bool:
        return self.is_undone or (self.status == "skipped" and self.stage is not None)

    @property
    def history(self) -> str | None:
        """A text of its own, so that it shows whose history was taken."""
        numbered = self.number is not None and self.is_undone
        return f"{self.status} {self.place}" if numbered else None


def last_of(tried: Sequence[Tried]) -> Tried:
    return max(tried, key=lambda one: one.place)


def fate(
    tried: Sequence[Tried],
    reprocess: str,
    *,
    archived: bool,
    hours: float,
    now: float,
    older: bool = False,
) -> str:
    """Tell what becomes of a pair: todo, or done, older, archived, failed or waiting.

    Args:
        tried: The attempts at these files of it.
        reprocess: As in the settings.
        archived: Whether the listing says that a file of it is.
        hours: The distance between runs that try again what is undone grows by these.
        now: The hour that it is.
        older: Whether an earlier image version made an image of it.
    """
    if reprocess != "all" and any(one.status == "ok" for one in tried):
        return "done"
    if older and (reprocess == "none" or (reprocess == "failed" and not tried)):
        return "older"
    if not tried:
        return "todo"
    last = last_of(tried)
    if archived and last.status == "skipped":
        return "archived"
    if reprocess in ("failed", "all"):
        return "todo"
    if last.is_final:
        return "failed"
    if last.comes_again:
        runs = {one.run for one in tried if one.comes_again}
        factor = [0, 1, 3, 7, 15][len(runs) - 1]
        distance = factor * hours if factor else 0  # for hours may be infinite
        if distance and last.hour + distance > now:
            return "waiting"
    return "todo"


VERSIONS = st.sampled_from(["v1", "v2"])
PAIRS = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(VERSIONS, VERSIONS, st.integers(0, 50)), max_size=8
)
FEW_PAIRS = st.dictionaries(
    st.sampled_from("abcd"),
    st.tuples(VERSIONS, st.just("w"), st.integers(0, 50)),
    min_size=2,
    max_size=4,
)
PAIR_KEYS = [(pair_id, version, "w") for pair_id in "abcd" for version in ("v1", "v2")]
SCORE_KEYS = [
    (pair_id, method, "v", "v", version)
    for pair_id in "ab"
    for method in "mn"
    for version in ("v1", "v2")
]
REPROCESS = st.sampled_from(["none", "failed", "older", "all"])
HOURS = st.sampled_from([0.0, 1.0, 12.0, float("inf")])
NOW = st.integers(0, 90)
LIMITS = st.none() | st.integers(1, 9)

# Status, stage, and whether the attempt has a number, which it hasn't in schemas before 5.
_BEFORE = [
    ("failed", stage, False) for stage in ("read", "decode", "pair", "fuse", "encode", "crash")
]
_AGAIN = [("undone", "read", True), ("undone", "fuse", True), ("skipped", "read", True)]
_VERDICTS = [("failed", "decode", True), ("failed", "fuse", True), ("skipped", None, True)]
_OK = [("ok", None, False), ("ok", None, True)]
_KINDS = [_AGAIN, _BEFORE, _AGAIN + _VERDICTS, _BEFORE + _AGAIN + _OK]


@st.composite
def _attempts(draw: st.DrawFn, key: tuple[str, ...]) -> list[Tried]:
    """Attempts at one pair, of one kind, so that what takes several alike comes too."""
    tried = st.tuples(
        st.sampled_from(draw(st.sampled_from(_KINDS))),
        st.integers(1, 6),
        st.integers(0, 60),
        st.sampled_from("rstuv"),
    )
    return [
        Tried(key, status, stage, number=number if numbered else None, hour=hour, run=run)
        for (status, stage, numbered), number, hour, run in draw(st.lists(tried, max_size=6))
    ]


@st.composite
def histories(draw: st.DrawFn, keys: Sequence[tuple[str, ...]]) -> list[Tried]:
    """Attempts whose clocks agree with their numbers or don't."""
    tried = [one for key in keys for one in draw(_attempts(key))]
    return [*{(one.key, one.place): one for one in tried}.values()]


def make_pairing(
    pairs: Mapping[str, tuple[str, str, int]], archived: Collection[str] = ()
) -> Pairing:
    """Pairs by their id, with both versions and a size; ``archived`` are the ids of such."""
    rows = [
        {
            "pair_id": pair_id,
            "ir_path": f"ir/{pair_id}",
            "ir_bytes": size,
            "ir_version": ir,
            "vi_path": f"vi/{pair_id}",
            "vi_bytes": 2 * size,
            "vi_version": vi,
            "archived": "GLACIER" if pair_id in archived else None,
        }
        for pair_id, (ir, vi, size) in sorted(pairs.items())
    ]
    return Pairing(pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA), (), (), ())


def make_rows(tried: Sequence[Tried], names: Sequence[str] = PAIR_COLUMNS) -> pa.Table:
    """Rows of these attempts, with the columns that a plan is made of; ``names`` are the key's."""
    texts = [*names, "status", "stage", "history", "run_id"]
    schema = pa.schema(
        [(name, pa.string()) for name in texts]
        + [("attempt", pa.int32()), ("ended", pa.timestamp("us", tz="UTC"))]
    )
    rows = [
        {
            **dict(zip(names, one.key, strict=True)),
            "status": one.status,
            "stage": one.stage,
            "attempt": one.number,
            "history": one.history,
            "run_id": one.run,
            "ended": at_hour(one.hour),
        }
        for one in tried
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def at_hour(hour: float) -> dt.datetime:
    return START + dt.timedelta(hours=hour)


def with_column(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, name, pa.array(values))
