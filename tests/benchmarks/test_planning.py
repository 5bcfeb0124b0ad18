"""A night reads and writes as much after a long history as after a short one, and plans alike.

The same with ten million rows is ``make benchmark-planning``.
"""

from pathlib import Path
from typing import Any

import pytest
from planning_history import write_history
from planning_run import Night, planned

from fusion_core.storage.store import Storage

SHORT, LONG, PAIRS = 16_000, 128_000, 500


@pytest.mark.parametrize("kind", ["cameras", "random"])
def test_a_night_asks_for_as_much_after_a_history_eight_times_as_long(
    kind: str, tmp_path: Path
) -> None:
    short, long = (night_after(tmp_path / f"{rows}", kind, rows) for rows in (SHORT, LONG))
    for name in ("todo", "objects_read", "objects_written", "bytes_written"):
        assert long[name] == pytest.approx(short[name], rel=0.01), name
    assert long["requests"] <= short["requests"] + 12
    added = index_bytes(tmp_path / f"{LONG}") - index_bytes(tmp_path / f"{SHORT}")
    assert added > 3_000_000
    assert long["bytes_read"] - short["bytes_read"] < added / 8


def night_after(folder: Path, kind: str, rows: int) -> dict[str, Any]:
    folder.mkdir()
    write_history(Storage(str(folder)), kind, rows, folder, night=PAIRS)
    return planned(Night(str(folder), kind, PAIRS, counted=True))


def index_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("commits/index/manifest/shard-*"))
