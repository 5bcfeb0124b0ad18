"""What Prefect is told of a run as such: name, end state, and events."""

from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from flows import night
from flows.night import DRIFT, EMPTY, ended, name_flow_run, tell
from flows.summaries.run import RunSummary
from flows.summaries.skipped import SkippedRun


def summary(found: int) -> RunSummary:
    return RunSummary(
        run_id="20261129T023000Z-abcd1234",
        output="s3://out",
        manifest="s3://out/manifest",
        found=found,
        done_before=0,
        known_failed=0,
        over_limit=0,
        unpaired=(),
        ambiguous=(),
        unmatched=(),
        failed=1,
        failures=(),
        seconds=4.0,
        contact_sheet=None,
        fused=found,
        metrics={},
    )


@pytest.fixture
def emitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    events: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(night, "emit_event", lambda name, **rest: events.append((name, rest)))
    return events


@pytest.mark.usefixtures("prefect_api")
def test_a_flow_ends_with_the_sentence_and_bears_the_runs_id_and_its_caller_gets_the_summary() -> (
    None
):
    @flow
    def a_night() -> RunSummary:
        name_flow_run("20261129T023000Z-abcd1234")
        return ended(summary(8))  # type: ignore[no-any-return]

    state: State[RunSummary] = a_night(return_state=True)
    assert state.is_completed()
    assert state.message == summary(8).sentence()
    with get_client(sync_client=True) as client:
        kept = client.read_flow_run(state.state_details.flow_run_id)
    assert kept.name == "20261129T023000Z-abcd1234"
    assert kept.state is not None
    assert kept.state.message == summary(8).sentence()
    assert a_night() == summary(8)


def test_outside_of_prefect_a_name_is_nothing() -> None:
    name_flow_run("20261129T023000Z-abcd1234")


def test_a_night_that_found_nothing_is_told_of_and_no_other(
    emitted: list[tuple[str, dict[str, Any]]],
) -> None:
    ended(summary(8))
    ended(SkippedRun(run_id="r", reason="another run"))
    assert emitted == []
    ended(summary(0))
    [(name, told)] = emitted
    assert name == EMPTY
    assert told["payload"]["found"] == 0
    assert told["payload"]["sentence"] == summary(0).sentence()


def test_an_event_has_the_runs_numbers_and_what_drifted(
    emitted: list[tuple[str, dict[str, Any]]],
) -> None:
    tell(DRIFT, summary(8), ["the mean of vif is 0.3, below 0.5"])
    [(name, told)] = emitted
    assert name == "fuse-archive.night.drift"
    assert told["resource"]["prefect.resource.name"] == "20261129T023000Z-abcd1234"
    assert told["payload"]["left"] == ["the mean of vif is 0.3, below 0.5"]
    assert (told["payload"]["done"], told["payload"]["failed"]) == (8, 1)
