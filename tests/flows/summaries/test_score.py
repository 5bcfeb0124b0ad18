from typing import Any

from flows.summaries.archive import too_many_failed
from flows.summaries.score import ScoreSummary


def summary(**changes: Any) -> ScoreSummary:
    nothing: dict[str, Any] = {"m": (), "n": ()}
    values: dict[str, Any] = {
        **{"run_id": "run", "output": "s3://out", "manifest": "s3://out/scores", "found": 4},
        **dict.fromkeys(("done_before", "known_failed", "over_limit", "failed"), 0),
        **dict.fromkeys(("unpaired", "ambiguous", "unmatched", "failures"), ()),
        **dict.fromkeys(("unpaired_images", "missing", "ambiguous_images"), nothing),
        **{"unfinished": 0, "seconds": 3.0, "images": 8, "scored": 8},
        **{"means": {}, "table": "| the table |\n", "tables": {"md": "s3://out/table.md"}},
    }
    return ScoreSummary(**{**values, **changes})


def failure(method: str) -> dict[str, Any]:
    reason = {"stage": "pair", "error_type": "E", "error_message": "too small"}
    return {"pair_id": "a", "method": method, **reason}


def test_the_table_comes_last_whatever_else_is_told() -> None:
    told = summary(missing={"m": (), "n": ("p3",)}, unpaired=("ir/x.png",)).markdown()
    assert told.endswith("## Comparison\n\n| the table |\n")
    assert "- table as md: `s3://out/table.md`" in told
    assert "## Unpaired files (no counterpart): 1" in told


def test_what_has_no_counterpart_is_listed_by_method_and_counted_in_the_sentence() -> None:
    found = summary(
        missing={"m": (), "n": ("p3",)},
        unpaired_images={"m": ("f/x.png", "f/y.png"), "n": ()},
        ambiguous_images={"m": (), "n": tuple(f"f/{k}.png" for k in range(25))},
    )
    assert "images without a pair: 2 of m; pairs without an image: 1 of n" in found.sentence()
    told = found.markdown()
    assert "## Images of m without a pair: 2\n\n- `f/x.png`" in told
    assert "## Pairs without an image of n: 1\n\n- `p3`" in told
    assert "## Ambiguous images of n (same pair): 25" in told
    assert "… and 5 more" in told
    assert "Images of n without" not in told


def test_what_is_beyond_the_first_hundred_of_a_method_is_counted() -> None:
    cut = summary(
        missing={"m": (), "n": tuple(f"p{k}" for k in range(100))},
        counts_by_method={"missing": {"m": 0, "n": 700}},
    )
    assert "pairs without an image: 700 of n" in cut.sentence()
    assert "## Pairs without an image of n: 700" in cut.markdown()
    assert "… and 680 more" in cut.markdown()


def test_a_resumed_run_says_why_it_scored_nothing() -> None:
    told = summary(scored=0, done_before=8).sentence()
    assert "8 fused images of 2 methods found: 0 scored and 0 failed" in told
    assert "8 left alone, because the manifest holds a successful row for the same files" in told


def test_a_failed_image_is_named_with_its_method() -> None:
    failed = summary(scored=1, failed=1, failures=(failure("m"),))
    assert "| a of m | pair | too small |" in failed.markdown()
    assert "1 of 2 images failed (50%" in too_many_failed(failed, 0.1)
    assert "a of m (pair): too small" in too_many_failed(failed, 0.1)
