import logging
from typing import Any

import pytest
from attempts import attempt, chunk_result
from receivers import Receiver, receiving
from tiny import TODAY, settings_for

from flows.watching import watch as watch_module
from flows.watching.watch import Watch, watching
from fusion_core.errors import TooManyFailuresError
from fusion_core.jobs import RunIdentity

IDENTITY = RunIdentity("20261120T023000Z-1a2b3c4d", TODAY, "m", "s")


@pytest.fixture(autouse=True)
def logger(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """A run's logger, without a flow."""
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    own = logging.getLogger("watch-test")
    monkeypatch.setattr(watch_module, "get_run_logger", lambda: own)
    return own


def pushed(receiver: Receiver) -> list[str]:
    return [body.decode() for _, path, body in receiver.requests if path.startswith("/metrics/")]


def settings(**values: Any) -> Any:
    return settings_for("s3://archive", "s3://results", "mean", **values)


def test_what_nobody_watches_passes_untouched() -> None:
    results = iter([chunk_result(attempt("a"))])
    with watching(settings(), "fuse-archive") as watch:
        assert not watch.detailed
        assert watch.results(results) is results
        with watch.phase("plan"):
            pass
    assert not Watch().detailed


def test_a_run_is_pushed_with_what_it_is_and_how_it_ended() -> None:
    with receiving() as receiver:
        asked = settings(metrics_push=receiver.url)
        with watching(asked, "fuse-archive") as watch:
            watch.identified(asked, IDENTITY)
            assert watch.detailed
            assert pushed(receiver) == []
        error = TooManyFailuresError("half failed")
        with pytest.raises(TooManyFailuresError), watching(asked, "fuse-archive"):
            raise error
        well, failed = pushed(receiver)
    assert "\nfuse_archive_run_success 1.0\n" in well
    assert "\nfuse_archive_last_success_timestamp_seconds " in well
    for name in ("flow=", f'run_id="{IDENTITY.run_id}"', 'output="s3://results"'):
        assert name in well
    assert "\nfuse_archive_run_success 0.0\n" in failed
    assert "\nfuse_archive_last_success_timestamp_seconds " not in failed


def test_a_run_that_did_nothing_is_neither_a_success_nor_a_failure() -> None:
    with receiving() as receiver:
        asked = settings(metrics_push=receiver.url)
        with watching(asked, "fuse-archive") as watch:
            watch.skipped = True
        with watching(asked, "fuse-archive", quiet=True) as watch:
            assert not watch.detailed
    assert receiver.requests == []


def test_traces_that_can_not_be_sent_are_told_of_and_fail_no_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with watching(settings(), "fuse-archive") as watch:
        assert watch.traces is None
    assert "only http/protobuf is spoken here" in caplog.text
