import logging
from types import SimpleNamespace

import pytest
from prefect import flow
from prefect.artifacts import Artifact

from flows import progress
from flows.progress import PairProgress, listing_told, shown
from fusion_core.jobs.worker import ChunkResult

pytestmark = pytest.mark.usefixtures("prefect_api")
RESULTS = [ChunkResult(("a",), 3, 1), ChunkResult(("b",), 4, 0)]


def show(bar: bool, verb: str = "fuse") -> None:
    @flow
    def progress_test() -> None:
        with shown(8, logging.getLogger("progress-test"), verb=verb, bar=bar) as told:
            for result in RESULTS:
                told.look(at_work=2)
                told.add(result)

    progress_test()


@pytest.mark.parametrize(("verb", "what"), [("fuse", "pairs"), ("score", "images")])
def test_the_flows_artifact_ends_at_a_hundred_and_says_so_in_words(verb: str, what: str) -> None:
    show(bar=False, verb=verb)
    artifact = Artifact.get(f"{verb}-archive-progress")
    assert artifact is not None
    assert artifact.data == 100.0
    assert str(artifact.description).startswith(f"8 of 8 {what}")
    assert str(artifact.description).endswith(", 1 failed")


def test_a_terminal_gets_a_bar_with_counts(capsys: pytest.CaptureFixture[str]) -> None:
    show(bar=True)
    drawn = capsys.readouterr().err
    assert "8/8" in drawn
    assert "1 failed" in drawn


def test_a_log_gets_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    show(bar=False)
    assert "8/8" not in capsys.readouterr().err


def test_progress_is_told_by_pair_with_rate_remaining_time_and_failures() -> None:
    now = 0.0
    counted = PairProgress(1000, "pairs", now=lambda: now)
    assert counted.told() == "0 of 1000 pairs"
    now = 60.0  # workers start for a minute, which is no part of the rate
    counted.at_work = 4
    assert counted.told() == "4 of 1000 pairs"
    now = 135.0
    counted.at_work = 0
    counted.add(ChunkResult(("a",), ok=290, failed=3))
    counted.at_work = 19
    assert counted.told() == "312 of 1000 pairs, 4.1/s, 3 min left, 3 failed"
    counted.at_work = 0
    counted.add(ChunkResult(("b",), ok=700, failed=7))
    assert counted.told() == "1000 of 1000 pairs, 13.3/s, 10 failed"


def test_a_slow_rate_is_told_by_the_minute() -> None:
    now = 0.0
    counted = PairProgress(10, "images", now=lambda: now)
    counted.at_work = 1
    counted.told()
    now, counted.at_work = 120.0, 3
    assert counted.told() == "3 of 10 images, 1.0/min, 7 min left"


def test_a_worker_that_counts_what_a_lost_one_had_done_never_goes_past_the_plan() -> None:
    counted = PairProgress(8, "pairs")
    counted.add(ChunkResult(("a",), ok=7, failed=0))
    counted.at_work = 3
    assert counted.done == 8


def test_a_listing_is_told_now_and_then(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([0.0, 4.0, 11.0, 12.0, 22.0])
    # Of this module alone: threads of others ask the clock too.
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    tell = listing_told(logging.getLogger("listing-test"))
    with caplog.at_level(logging.INFO, "listing-test"):
        for count in (1000, 2000, 3000, 4000):
            tell(count)
    told = [record.message for record in caplog.records if record.name == "listing-test"]
    assert told == ["2000 objects listed so far", "4000 objects listed so far"]
