"""What a run does around its work while it holds the output: merge what has grown, at the end."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from manifest_rows import row
from prefect.logging import disable_run_logger
from published_rows import as_part, publish
from tiny import settings_for

import flows.output_lease
from flows.output_lease import output_lease
from flows.run import Run
from fusion_core.archive.index import update
from fusion_core.archive.index.key_index import open_index
from fusion_core.archive.index.state import newest_state
from fusion_core.archive.lease_record import read_record
from fusion_core.storage.store import Storage


@pytest.fixture
def run(tmp_path: Path) -> Run[Any]:
    """A run over an output whose index has two shards."""
    output = Storage(str(tmp_path / "out"))
    for generation in (1, 2):
        rows = pa.Table.from_pylist([row(f"a{generation}")])
        publish(output, generation, [as_part(rows)])
        open_index(output, "manifest", tmp_path, generation=generation)
    settings = settings_for(tmp_path / "in", tmp_path / "out", "mean")
    return Run.begin(settings, settings_hash="s", model_hash="m")


@pytest.fixture(autouse=True)
def pairs_of_shards_are_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(update, "_MERGED", 2)


def shards(run: Run[Any]) -> int:
    return len(newest_state(run.output(), "manifest")[1].shards)


def released(run: Run[Any]) -> bool:
    record = read_record(run.output(), 3)
    return record is not None and record.released and record.complete


def test_a_run_that_ended_well_merges_the_index(run: Run[Any]) -> None:
    with disable_run_logger(), output_lease(run):
        assert shards(run) == 2
    assert (shards(run), released(run)) == (1, True)


def test_one_that_failed_leaves_that_to_the_next(run: Run[Any]) -> None:
    with pytest.raises(ZeroDivisionError), disable_run_logger(), output_lease(run):
        raise ZeroDivisionError
    assert (shards(run), released(run)) == (2, True)


def test_a_run_whose_work_is_done_does_not_fail_of_merging(
    run: Run[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(flows.output_lease, "merge_shards", full)
    with disable_run_logger(), output_lease(run):
        pass
    assert (shards(run), released(run)) == (2, True)
