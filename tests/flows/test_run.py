from typing import Any

from tiny import settings_for

from flows.run import Run


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
