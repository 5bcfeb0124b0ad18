from typing import Any

from flows.summaries.archive import too_many_failed
from flows.summaries.evaluation import EvaluationSummary, ModelOutcome


def outcome(model: str, fused: int = 3, failed: int = 0) -> ModelOutcome:
    counts = {"fused": fused, "failed": failed, "done_before": 2, "known_failed": 1}
    return ModelOutcome(model=model, model_hash="0123456789abcdef" * 4, **counts)


def summary(**changes: Any) -> EvaluationSummary:
    values: dict[str, Any] = {
        **{"run_id": "run", "output": "s3://out", "manifest": "s3://out/manifest", "found": 6},
        **dict.fromkeys(("done_before", "known_failed", "over_limit", "failed"), 0),
        **dict.fromkeys(("unpaired", "ambiguous", "unmatched", "failures"), ()),
        **{"unfinished": 0, "seconds": 3.0, "pairs": 5, "published": "tno"},
        **{"models": {"mine": outcome("s3://models/m.safetensors"), "mean": outcome("mean")}},
        **{"means": {}, "table": "| the table |\n", "tables": {"md": "s3://out/table.md"}},
        "contact_sheet": "s3://out/sheet.png",
    }
    return EvaluationSummary(**{**values, **changes})


def test_it_tells_of_each_model_and_ends_with_the_table() -> None:
    told = summary(unmatched=("x.txt",)).markdown()
    assert "6 pairs found for 2 models: 6 images fused and 0 failed in 3 s" in told
    assert "| mine | `s3://models/m.safetensors` | `0123456789ab` | 3 | 0 | 2 | 1 |" in told
    assert "- contact sheet: `s3://out/sheet.png`" in told
    assert "## Unmatched files (belong to no pair): 1" in told
    assert told.endswith("## Comparison\n\n| the table |\n")


def test_a_name_cannot_break_the_table_of_models() -> None:
    assert r"| a \| b | `mean` |" in summary(models={"a | b": outcome("mean")}).markdown()


def test_without_a_sheet_none_is_named() -> None:
    assert "contact sheet" not in summary(contact_sheet=None).markdown()


def test_a_resumed_run_says_why_it_fused_nothing() -> None:
    told = summary(models={"mean": outcome("mean", fused=0)}, done_before=6).sentence()
    assert "for 1 models: 0 images fused" in told
    assert (
        "6 left alone, because the manifest holds a successful row for the same files, mo" in told
    )


def test_failures_are_named_with_their_model() -> None:
    row = {"pair_id": "a", "method": "mine", "stage": "fuse", "error_message": "no | image"}
    told = summary(models={"mine": outcome("m", 3, 1)}, failed=1, failures=(row,))
    assert r"| a of mine | fuse | no \| image |" in told.markdown()
    assert "1 of 4 images failed (25%" in too_many_failed(told, 0.1)
