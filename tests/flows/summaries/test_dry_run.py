from typing import Any

import pytest

from flows.summaries.dry_run import DryRun


def dry_run(**changes: Any) -> DryRun:
    values: dict[str, Any] = {
        "found": 10,
        "to_fuse": 6,
        "bytes_to_read": 12_300_000,
        "estimated_seconds": 30.0,
        "done_before": 2,
        "known_failed": 1,
        "over_limit": 1,
        "unpaired": ("ir/x.png",),
        "ambiguous": (),
        "unmatched": ("a", "b"),
        "first": ("p1", "p2"),
    }
    return DryRun(**{**values, **changes})


def test_it_says_what_would_be_done_and_what_not() -> None:
    text = dry_run().markdown()
    assert "nothing was written" in text
    assert "6 would be fused, reading 12.3 MB" in text
    assert "2 have a successful row" in text
    assert "1 unpaired, 0 ambiguous, 2 unmatched files" in text
    assert "First pairs: p1, p2" in text


def test_it_counts_the_files_beyond_the_first_hundred() -> None:
    text = dry_run(counts={"unpaired": 700, "ambiguous": 0, "unmatched": 2}).markdown()
    assert "700 unpaired, 0 ambiguous, 2 unmatched files" in text


def test_it_says_how_much_rests_on_earlier_images() -> None:
    assert "earlier image version" not in dry_run().markdown()
    assert "- 2 of what was done before is of an earlier image" in dry_run(older=2).markdown()


def test_its_sentence_says_how_much_and_how_long() -> None:
    assert dry_run().sentence() == (
        "10 pairs found: 6 would be fused, reading 12.3 MB, in about 30 s on this cluster."
    )
    assert dry_run(estimated_seconds=None).sentence().endswith("reading 12.3 MB.")


@pytest.mark.parametrize(
    ("seconds", "told"), [(30.0, "about 30 s"), (600.0, "about 10 min"), (9000.0, "about 2.5 h")]
)
def test_times_are_told_in_units_people_use(seconds: float, told: str) -> None:
    assert told in dry_run(estimated_seconds=seconds).markdown()


def test_nothing_to_do_takes_no_time_to_tell() -> None:
    text = dry_run(to_fuse=0, estimated_seconds=None, first=()).markdown()
    assert "about" not in text
    assert "First pairs" not in text
