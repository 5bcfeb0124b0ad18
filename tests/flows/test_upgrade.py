"""The flows over what version 0.1.0 left: a real Prefect API, a real Ray cluster, local files."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pystac
import pytest
from tiny import write_pairs
from version_before import LEFT, Left, restored

from flows.evaluate import evaluate
from flows.fuse_archive import fuse_archive
from flows.score_archive import score_archive
from flows.summaries.evaluation import EvaluationSummary
from flows.summaries.run import RunSummary
from flows.summaries.score import ScoreSummary
from fusion_core.archive.lease_record import read_record
from fusion_core.archive.manifest import read_manifest
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
GENTLE: dict[str, Any] = {"worker": "cpu:1", "max_workers": 1, "io_threads": 2}
KEYS: dict[str, list[str]] = json.loads((LEFT / "summary_0_1_0.json").read_text())
RENAMED = {
    "half": "unpaired",
    "doubled": "ambiguous",
    "stray": "unmatched",
    "unpaired": "unpaired_images",
    "doubled_images": "ambiguous_images",
}
"""Keys of a summary that have another name now, for whoever reads them to look up."""


@pytest.fixture
def left(tmp_path: Path) -> Left:
    """What was left, and one pair more."""
    left = restored(tmp_path)
    write_pairs(left.archive, ["new"], size=(48, 64))
    return left


def fused(settings: FuseArchiveSettings) -> RunSummary:
    summary = fuse_archive(settings)
    assert isinstance(summary, RunSummary)
    return summary


def rows_of(left: Left, run_id: str, folder: str = "manifest") -> list[tuple[str, str, str]]:
    """Pair, method and status of each row that a run wrote."""
    rows = pd.read_parquet(left.output / folder)
    own = rows[rows.run_id == run_id].sort_values(["pair_id", "method"])
    return list(zip(own.pair_id, own.method, own.status, strict=True))


def parts_of(left: Left) -> list[Path]:
    return [*(left.output / "manifest").rglob("*.parquet")]


def check_untouched(left: Left, before: dict[str, bytes]) -> None:
    after = left.bytes_of("manifest", "fused", "scores")
    assert [path for path in before if after.get(path) != before[path]] == []


def check_keys(left: Left, flow: str, run_id: str) -> None:
    """What reads the summaries by script finds what it read before."""
    written = json.loads((left.output / f"runs/{run_id}/summary.json").read_text())
    names = [RENAMED.get(key, key) for key in KEYS[flow]]
    assert [name for name in names if name not in written] == []
    assert len({*names}) == len(names), "two keys of before are one key now"


@pytest.mark.long
def test_one_new_pair_makes_one_new_row_of_each_flow(left: Left) -> None:
    before, parts = left.bytes_of("manifest", "fused", "scores"), len(parts_of(left))
    settings = FuseArchiveSettings(**left.laplacian(), **GENTLE)
    summary = fused(settings)
    # The pair that failed before is tried anew, since another version may succeed.
    assert (summary.fused, summary.failed) == (1, 1)
    assert (summary.done_before, summary.older, summary.known_failed) == (5, 5, 0)
    assert "5 of what was done before is of an earlier image version" in summary.sentence()
    tried = [("new", "laplacian", "ok"), ("pier", "laplacian", "failed")]
    assert rows_of(left, summary.run_id) == tried
    check_untouched(left, before)
    check_keys(left, "fuse", summary.run_id)
    # The last run before was dead, and two parts that it had announced are closed by now.
    assert len(parts_of(left)) == parts + 3
    lease = read_record(Storage(str(left.output)), 7)
    assert lease is not None
    assert (lease.run_id, lease.released, lease.complete) == (summary.run_id, True, True)
    # What others see.
    assert len(pd.read_parquet(left.output / "manifest")) == 14
    newest = read_manifest(str(left.output / "manifest"), filters=[("method", "=", "laplacian")])
    assert newest["pair_id"].to_pylist() == [
        *("field_20261119", "gate", "harbour", "lane#3", "new", "pier", "yard")
    ]
    catalog = pystac.Catalog.from_file(left.output / "catalog.json")
    (item,) = catalog.get_items(recursive=True)
    assert item.properties["fuse-archive:pair_id"] == "field_20261119"

    scores = score_archive(ScoreArchiveSettings(**left.scoring(), **GENTLE))
    assert isinstance(scores, ScoreSummary)
    assert (scores.scored, scores.failed, scores.done_before, scores.older) == (0, 0, 5, 5)
    assert scores.means["laplacian"]["vif"] is not None, "scores of before are in the table"
    assert len(read_manifest(str(left.output / "scores"))) == 5
    check_keys(left, "score", scores.run_id)

    evaluation = evaluate(EvaluateSettings(**left.evaluating(), **GENTLE))
    assert isinstance(evaluation, EvaluationSummary)
    assert (evaluation.succeeded, evaluation.failed) == (0, 0)
    assert (evaluation.done_before, evaluation.older) == (2, 2)
    assert evaluation.pairs == 2
    check_keys(left, "evaluate", evaluation.run_id)

    again = fused(settings)
    assert (again.fused, again.done_before, again.older, again.known_failed) == (0, 6, 5, 1)
    renewed = fused(FuseArchiveSettings(**left.laplacian(), **GENTLE, reprocess="older"))
    assert (renewed.fused, renewed.done_before, renewed.older) == (5, 1, 0)
    check_untouched(left, before)


def test_an_interrupted_run_is_finished_with_the_default_settings(left: Left) -> None:
    before = left.bytes_of("manifest", "fused", "scores")
    summary = fused(FuseArchiveSettings(**left.defaults(), **GENTLE))
    # Both the image version and the weights of that name are others now.
    assert (summary.fused, summary.done_before, summary.older) == (3, 3, 3)
    assert "or of the model's earlier weights" in summary.sentence()
    assert rows_of(left, summary.run_id) == [
        ("new", "refinefuse", "ok"),
        ("pier", "refinefuse", "failed"),
        ("twin", "refinefuse", "ok"),
        ("yard", "refinefuse", "ok"),
    ]
    check_untouched(left, before)
    newest = read_manifest(str(left.output / "manifest"), filters=[("method", "=", "refinefuse")])
    names = ["gate", "harbour", "lane#3", "new", "pier", "twin", "yard"]
    assert newest["pair_id"].to_pylist() == names
