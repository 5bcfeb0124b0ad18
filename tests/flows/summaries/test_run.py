from typing import Any

from flows.summaries.archive import too_many_failed
from flows.summaries.run import RunSummary
from fusion_core.metrics import METRIC_NAMES


def summary(**changes: Any) -> RunSummary:
    values: dict[str, Any] = {
        "run_id": "run",
        "output": "s3://out",
        "manifest": "s3://out/manifest",
        "contact_sheet": None,
        "found": 10,
        "done_before": 0,
        "known_failed": 0,
        "over_limit": 0,
        "fused": 10,
        "failed": 0,
        "unfinished": 0,
        "unpaired": (),
        "ambiguous": (),
        "unmatched": (),
        "metrics": {},
        "failures": (),
        "seconds": 12.0,
    }
    return RunSummary(**{**values, **changes})


def failure(name: str, stage: str = "decode", message: str = "cut") -> dict[str, Any]:
    return {"pair_id": name, "stage": stage, "error_type": "E", "error_message": message}


def test_the_table_shows_every_metric_and_blanks_for_what_is_not_there() -> None:
    values: dict[str, float | None] = {"mean": 0.12345, "std": 0.0, "min": 0.1, "max": 0.2}
    metrics = dict.fromkeys(METRIC_NAMES, values) | {"vif": dict.fromkeys(values)}
    text = summary(metrics=metrics).markdown()
    assert "| | VIF | AG | SCD | QABF | SF | EN | SSIM |" in text
    assert "| mean |  | 0.1235 |" in text


def test_the_sentence_counts_the_files_that_are_in_no_pair() -> None:
    told = summary(found=0, unpaired=("a", "b"), unmatched=("c",)).sentence()
    assert "files in no pair: 2 unpaired, 1 unmatched" in told


def test_the_sentence_says_why_pairs_were_left_alone() -> None:
    told = summary(done_before=3, older=2, known_failed=2, over_limit=1, unfinished=4).sentence()
    assert "3 left alone, because the manifest holds a successful row" in told
    assert "2 of what was done before is of an earlier image version" in told
    assert "files in no pair" not in told
    assert "2 left alone, because the same files failed before" in told
    assert "1 left for later by the limit" in told
    assert "4 not begun, because the run's deadline had passed" in told


def test_long_lists_are_cut_and_counted() -> None:
    text = summary(
        unpaired=tuple(f"ir/{k}.png" for k in range(25)),
        failures=tuple(failure(f"p{k}") for k in range(30)),
    ).markdown()
    assert "## Unpaired files (no counterpart): 25" in text
    assert "… and 5 more" in text
    assert "… and 10 more" in text
    assert "p19" in text
    assert "p20" not in text


def test_what_is_beyond_the_first_hundred_is_counted_in_all_texts() -> None:
    cut = summary(
        failed=990,
        unpaired=tuple(f"ir/{k}.png" for k in range(100)),
        remarks=("a: cut",),
        failures=tuple(failure(f"p{k}") for k in range(100)),
        counts={"unpaired": 2500, "failures": 990, "remarks": 1, "ambiguous": 0},
        stages={"decode": 900, "read\n": 90},
        details="s3://out/runs/run/details.parquet",
    )
    assert "files in no pair: 2500 unpaired" in cut.sentence()
    text = cut.markdown()
    assert "## Unpaired files (no counterpart): 2500" in text
    assert "… and 2480 more" in text
    assert "… and 970 more" in text
    assert "- all that is listed here: `s3://out/runs/run/details.parquet`" in text
    told = too_many_failed(cut, 0.1)
    assert "990 of 1000 pairs failed (99%; max_failed allows 10%): 900 at decode, 90 at" in told
    assert "\n" not in told


def test_a_message_cannot_break_the_table() -> None:
    text = summary(failures=(failure("a|b", message="x | y\nz"),)).markdown()
    assert r"| a\|b | decode | x \| y z |" in text


def test_the_error_of_a_failed_run_counts_by_stage() -> None:
    failures = (failure("a"), failure("b", "read"), failure("c"))
    text = too_many_failed(summary(fused=1, failed=3, failures=failures), 0.1)
    assert "3 of 4 pairs failed (75%; max_failed allows 10%): 2 at decode, 1 at read" in text


def test_nothing_done_is_no_failure() -> None:
    assert summary(fused=0, failed=0).failed_fraction == 0


def test_what_is_off_is_told_and_what_is_aligned_is_not() -> None:
    counts = {"aligned": 90, "shifted": 2, "corrected": 1}
    told = summary(registration=counts, misaligned=("a: off by 9 pixels", "b: off by 7 pixels"))
    assert "; 2 with an infrared image that is off the visible one; 1 aligned before they" in (
        told.sentence()
    )
    assert "## Misaligned pairs: 2\n\n- `a: off by 9 pixels`" in told.markdown()
    assert "- registration: 90 aligned, 2 shifted, 1 corrected" in told.markdown()
    assert "aligned" not in summary(registration={"aligned": 90, "unsure": 3}).sentence()
