"""A store that stutters while a shard is read costs a lookup some time, and nothing else."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from published_rows import as_part, publish

from fusion_core.archive.index import lookup
from fusion_core.archive.index.key_index import open_index
from fusion_core.storage.store import Storage


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_read_of_a_shard_that_fails_for_a_moment_is_made_again(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Storage(str(tmp_path / "out"))
    names = ("pair_id", "run_id", "ir_version", "vi_version", "settings_hash")
    ids = ["a", "b"]
    publish(store, 1, [as_part(pa.table({**dict.fromkeys(names, ids), "status": ["ok", "ok"]}))])
    index = open_index(store, "manifest", tmp_path, generation=1)
    real, calls = lookup.pq.ParquetFile, []

    def stutters(*args: Any, **options: Any) -> Any:
        calls.append(args)
        if len(calls) == failing:
            raise TimeoutError("no byte for a while")
        return real(*args, **options)

    monkeypatch.setattr(lookup.pq, "ParquetFile", stutters)
    assert index.rows_of(pa.array(ids))["pair_id"].to_pylist() == ids
    assert len(calls) == 2 + (failing <= 2)
