"""Generated archives for the benchmark of planning: a history in an index, and nights of pairs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from published_rows import as_part, publish

from fusion_core.archive.index.shards import write_shards
from fusion_core.archive.index.state import IndexState, Shard, create_state, index_schema
from fusion_core.archive.spill import spill
from fusion_core.storage.listing import LISTING_SCHEMA
from fusion_core.storage.store import Storage

_BATCH = 1 << 16
MODEL_HASH, SETTINGS_HASH = "ab" * 32, "c0ffee0123456789"
_CAMERAS = 100
_HEX = np.frombuffer(b"".join(b"%02x" % k for k in range(256)), "S2")
_FIRST_DAY = dt.date(2026, 1, 1)
_FRAMES = 100  # of a camera a day


def write_history(
    output: Storage,
    kind: str,
    rows: int,
    folder: Path,
    *,
    night: int = 10_000,
    smaller: Sequence[int] = (),
) -> None:
    """Write an index of so many rows, whose last night is published and not taken in yet.

    Args:
        output: Where to.
        kind: ``cameras`` or ``random``, see ``pair_ids``.
        rows: How many.
        folder: A scratch folder.
        night: Pairs of the last night.
        smaller: Rows of further shards, of nights that aren't merged yet.
    """
    schema = index_schema("manifest")
    shards: list[Shard] = []
    for number, count in enumerate((rows, *smaller)):
        nights = pair_ids(kind, count, night=number and 2 + number)
        batches = (known_rows(ids).select(schema.names) for ids in nights)
        made = spill(folder, schema, batches)
        shards += write_shards(output, "manifest", made, folder)
        made.path.unlink()
    create_state(output, "manifest", 1, IndexState(shards=tuple(shards), carried=True))
    last = pa.concat_tables(map(known_rows, pair_ids(kind, night, night=1)))
    publish(output, 1, [as_part(last)])


def new_files(kind: str, pairs: int) -> Iterator[pa.Table]:
    """Yield the listing of a night's files, of pairs that are in no history."""
    for side in ("ir", "vi"):
        for ids in pair_ids(kind, pairs, night=2):
            yield listed(ids, side)


def pair_ids(kind: str, count: int, night: int = 0) -> Iterator[pa.Array]:
    """Yield sorted pair ids in batches.

    Args:
        kind: ``cameras``: camera, day and a counter, as folders have them; ``random``: 32 digits.
        count: How many.
        night: 0 for a history; others for one night behind it.
    """
    if kind == "random":
        random = np.random.default_rng(night)
        high = np.sort(random.integers(0, 1 << 63, count, np.uint64))
        for start in range(0, count, _BATCH):
            some = high[start : start + _BATCH]
            low = random.integers(0, 1 << 63, len(some), np.uint64)
            yield _hex(np.stack([some, low], 1))
        return
    each = count // _CAMERAS
    day = 0 if night == 0 else 100_000 + night
    for camera in range(_CAMERAS):
        for start in range(0, each, _BATCH):
            frames = np.arange(start, min(start + _BATCH, each))
            yield _frames(camera, frames, day)


def known_rows(ids: pa.Array) -> pa.Table:
    """Return rows about pairs, of which one in a hundred failed."""
    count = len(ids)
    status = pa.array(np.where(np.arange(count) % 100 == 0, "failed", "ok"))
    texts = {
        "stage": pc.if_else(pc.equal(status, "failed"), "decode", None),
        "run_id": pa.repeat("20261120T020000Z-0a1b2c3d", count),
        "model_hash": pa.repeat(MODEL_HASH, count),
        "settings_hash": pa.repeat(SETTINGS_HASH, count),
        "history": pa.nulls(count, pa.string()),
    }
    ended = pa.scalar(dt.datetime(2026, 11, 20, 3, tzinfo=dt.UTC), pa.timestamp("us", tz="UTC"))
    return pa.table(
        {
            "pair_id": ids,
            **_versions(ids),
            "status": status,
            "attempt": pa.repeat(pa.scalar(1, pa.int32()), count),
            "ended": pa.repeat(ended, count),
            **texts,
        }
    )


def listed(ids: pa.Array, side: str) -> pa.Table:
    """Return the files of one side of pairs as a listing gives them."""
    columns = [
        pc.binary_join_element_wise(f"{side}/", ids, ".png", ""),
        pa.repeat(pa.scalar(300_000, pa.int64()), len(ids)),
        _versions(ids)[f"{side}_version"],
        pa.nulls(len(ids), pa.string()),
    ]
    return pa.table(columns, schema=LISTING_SCHEMA)


def _versions(ids: pa.Array) -> dict[str, pa.Array]:
    """Return ETags, which nothing compresses."""
    seed = len(ids) + (_number_of(ids[0].as_py()) if len(ids) else 0)
    random = np.random.default_rng(seed)
    return {
        f"{side}_version": _hex(random.integers(0, 1 << 63, (len(ids), 2), np.uint64))
        for side in ("ir", "vi")
    }


def _number_of(text: str) -> int:
    """Return a number of a text that is the same in each process."""
    return sum(ord(letter) * 131**place for place, letter in enumerate(text)) % (1 << 32)


def _hex(numbers: NDArray[np.uint64]) -> pa.Array:
    """Write rows of numbers as hex."""
    octets = numbers.astype(">u8").view(np.uint8)
    texts = np.ascontiguousarray(_HEX[octets]).view(f"S{2 * octets.shape[1]}").ravel()
    return pa.array(texts.astype(f"U{2 * octets.shape[1]}"))


def _frames(camera: int, frames: NDArray[np.int64], first_day: int) -> pa.Array:
    """Name frames ``camera_042/2026/11/20/frame_000123456``; days go on without an end."""
    days = first_day + frames // _FRAMES
    texts = [f"{day:%Y/%m/%d}" for day in _dates(days)] if first_day == 0 else None
    folder = pa.array(texts if texts is not None else [f"3{day:06}" for day in days.tolist()])
    counters = pa.array(frames).cast(pa.string())
    counters = pc.utf8_lpad(counters, 9, padding="0")
    return pc.binary_join_element_wise(f"camera_{camera:03}/", folder, "/frame_", counters, "")


def _dates(days: NDArray[np.int64]) -> list[dt.date]:
    return [_FIRST_DAY + dt.timedelta(days=int(day)) for day in days]
