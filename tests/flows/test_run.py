import logging
from typing import Any

import pytest
from tiny import settings_for

from flows.run import Run, warn_of_late_pairs, warn_of_older


def run_with(credentials: Any, **values: Any) -> Run[Any]:
    settings = settings_for("s3://archive/2026", "s3://results", "mean", **values)
    begun = Run.begin(settings, settings_hash="s")
    return Run(settings, begun.identity, credentials, begun.began)


def test_source_and_output_have_the_options_of_now() -> None:
    held = {"key": "old", "secret": "old"}
    run = run_with(lambda: dict(held))
    for storage in (run.source(), run.output()):
        held.update(key="old", secret="old")
        before = storage.fs
        assert before.key == "old"
        held.update(key="new", secret="new")
        assert (storage.fs.key, storage.options) == ("new", held)
        assert storage.fs is not before


def test_the_requests_of_the_source_alone_are_paid_for() -> None:
    run = run_with(dict, requester_pays=True)
    assert run.source().options == {"requester_pays": True}
    assert run.output().options == {}
    assert run_with(dict).source().options == {}


def test_the_date_of_a_run_is_todays_in_its_time_zone() -> None:
    """These zones lie 26 hours apart: it is never the same day in both."""
    first, last = (
        run_with(dict, time_zone=name).identity.date
        for name in ("Pacific/Kiritimati", "Etc/GMT+12")
    )
    assert (first - last).days in (1, 2)
    assert run_with(dict, date="2026-11-20").identity.date.isoformat() == "2026-11-20"


@pytest.fixture
def told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> pytest.LogCaptureFixture:
    monkeypatch.setattr("flows.run.get_run_logger", lambda: logging.getLogger("run"))
    return caplog


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ({"prefix": "north/{date:%Y/%m/%d}", "days": 1}, True),
        ({"prefix": "north/{date:%Y/%m/%d}"}, False),
        ({"prefix": "north/{date:%Y/%m/%d}", "days": 1, "date": "2026-11-20"}, False),
        ({"prefix": "north"}, False),
        ({}, False),
    ],
)
def test_a_run_says_that_it_will_miss_what_comes_in_later(
    values: dict[str, Any], warned: bool, told: pytest.LogCaptureFixture
) -> None:
    warn_of_late_pairs(settings_for("s3://archive/2026", "s3://results", "mean", **values))
    assert ["Leave days out" in message for message in told.messages] == [True] * warned


def test_a_run_says_how_much_rests_on_earlier_images(
    told: pytest.LogCaptureFixture,
) -> None:
    warn_of_older(0)
    assert told.messages == []
    warn_of_older(7)
    (message,) = told.messages
    assert "7 of what was done before is of an earlier image version" in message
    assert "--reprocess older" in message
