import logging
from types import SimpleNamespace

import pytest
from prefect import flow
from prefect.artifacts import Artifact

from flows import progress
from flows.progress import listing_told, shown
from fusion_core.jobs.worker import ChunkResult

pytestmark = pytest.mark.usefixtures("prefect_api")
RESULTS = [ChunkResult(("a",), 3, 1), ChunkResult(("b",), 4, 0)]


def show(bar: bool, verb: str = "fuse") -> list[ChunkResult]:
    @flow
    def progress_test() -> list[ChunkResult]:
        return list(shown(iter(RESULTS), 8, logging.getLogger("progress-test"), verb=verb, bar=bar))

    return progress_test()


@pytest.mark.parametrize("verb", ["fuse", "score"])
def test_results_pass_through_and_the_flows_artifact_ends_at_a_hundred(verb: str) -> None:
    assert show(bar=False, verb=verb) == RESULTS
    artifact = Artifact.get(f"{verb}-archive-progress")
    assert artifact is not None
    assert artifact.data == 100.0


def test_a_terminal_gets_a_bar_with_counts(capsys: pytest.CaptureFixture[str]) -> None:
    show(bar=True)
    drawn = capsys.readouterr().err
    assert "8/8" in drawn
    assert "1 failed" in drawn


def test_a_log_gets_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    show(bar=False)
    assert "8/8" not in capsys.readouterr().err


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
