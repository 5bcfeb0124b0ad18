"""What all summaries share, and what version 0.1.0 wrote of them."""

import json
from typing import Any, get_args, get_type_hints

import pytest
from version_before import LEFT

from flows.ablate import ablate_refinefuse
from flows.evaluate import evaluate
from flows.fuse_archive import fuse_archive
from flows.score_archive import score_archive
from flows.summaries.archive import ArchiveSummary, PlanSummary
from flows.summaries.base import Summary
from flows.summaries.evaluation import EvaluationSummary
from flows.summaries.run import RunSummary
from flows.summaries.score import ScoreSummary
from flows.train import train_refinefuse

SHARED_0_1_0: dict[str, Any] = {
    **{"run_id": "20261128T020903Z-49c5c1f6", "output": "/out/", "manifest": "/out/manifest"},
    **{"found": 6, "done_before": 2, "known_failed": 1, "over_limit": 0, "failed": 0},
    **{"unfinished": 0, "retries": 3, "half": ["ir/lonely.png"], "doubled": ["vi/a.jpg"]},
    **{"stray": ["notes.txt"], "metric_version": "1.0", "failures": [], "seconds": 1.5},
}
COMPARED_0_1_0: dict[str, Any] = {
    "means": {"m": {"vif": 0.5}},
    "table": "| the table |\n",
    "tables": {"md": "/out/table.md"},
}
RUN_0_1_0 = SHARED_0_1_0 | {"contact_sheet": None, "fused": 3, "metrics": {}}
EVALUATION_0_1_0 = (
    SHARED_0_1_0
    | COMPARED_0_1_0
    | {"models": {}, "pairs": 5, "contact_sheet": None, "published": None}
)
SCORE_0_1_0 = (
    SHARED_0_1_0
    | COMPARED_0_1_0
    | {"images": 5, "scored": 3, "unpaired": {"m": ["f/x.png"]}, "missing": {"m": ["p"]}}
    | {"doubled_images": {"m": ["f/y.png"]}}
)


@pytest.mark.parametrize(
    ("kind", "written"),
    [(RunSummary, RUN_0_1_0), (EvaluationSummary, EVALUATION_0_1_0), (ScoreSummary, SCORE_0_1_0)],
)
def test_what_version_0_1_0_wrote_is_read_and_written_by_todays_names(
    kind: type[ArchiveSummary], written: dict[str, Any]
) -> None:
    read = kind.model_validate_json(json.dumps(written))
    assert read.unpaired == ("ir/lonely.png",)
    assert read.ambiguous == ("vi/a.jpg",)
    assert read.unmatched == ("notes.txt",)
    assert read.succeeded + read.done_before >= 2
    assert not {"half", "doubled", "stray", "doubled_images"} & set(read.model_dump())
    assert kind.model_validate_json(read.model_dump_json()) == read


def test_the_images_that_scoring_called_unpaired_are_told_from_the_files() -> None:
    read = ScoreSummary.model_validate(SCORE_0_1_0)
    assert read.unpaired_images == {"m": ("f/x.png",)}
    assert read.ambiguous_images == {"m": ("f/y.png",)}
    assert read.unpaired == ("ir/lonely.png",)


def test_every_outcome_of_a_flow_is_a_summary() -> None:
    flows = (fuse_archive, score_archive, evaluate, train_refinefuse, ablate_refinefuse)
    told = [get_type_hints(flow.fn)["return"] for flow in flows]
    kinds = {kind for one in told for kind in get_args(one) or (one,)}
    assert {kind.__name__ for kind in kinds} == {
        *("RunSummary", "DryRun", "SkippedRun", "ScoreSummary", "EvaluationSummary"),
        *("TrainSummary", "AblationSummary"),
    }
    assert all(issubclass(kind, Summary) for kind in kinds)


@pytest.mark.parametrize("kind", [Summary, PlanSummary, ArchiveSummary])
def test_what_only_gives_the_shape_can_not_be_made(kind: type[Summary]) -> None:
    with pytest.raises(TypeError, match="abstract"):
        kind(**RUN_0_1_0)


def test_every_summary_that_version_0_1_0_left_is_read() -> None:
    read = []
    for path in sorted((LEFT / "archive-fused" / "runs").glob("*/summary.json")):
        text = path.read_text()
        kinds = {"scored": ScoreSummary, "models": EvaluationSummary, "fused": RunSummary}
        kind = next(kind for field, kind in kinds.items() if field in json.loads(text))
        read.append(kind.model_validate_json(text))
    assert {type(summary) for summary in read} == {ScoreSummary, EvaluationSummary, RunSummary}
    assert all(summary.sentence() and summary.unmatched for summary in read)
