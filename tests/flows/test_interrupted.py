"""Workers end where a signal stops a run that is just telling of its progress, and not later.

What a signal raises holds on to the frames that it went through, until the process ends; so does
pytest to what it caught here.
"""

import logging
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NoReturn

import pyarrow as pa
import pytest

from flows import chunks, progress, train, train_progress
from flows.watching.watch import Watch
from fusion_core.errors import LeaseLostError
from fusion_core.jobs.worker import ChunkResult
from fusion_core.training.record import ProgressEvent

LOGGER = logging.getLogger("interrupted-test")
RESULT = ChunkResult(("a",), 3, 1)
LEASE: Any = SimpleNamespace(check=lambda: None)


class Stopped(BaseException):
    """As a signal raises it, wherever the process is."""


def stop(*_: Any, **__: Any) -> NoReturn:
    raise Stopped


class Workers:
    """Something at work, that tells whether it was ended."""

    deaths = lost = 0

    def __init__(self, told: Any) -> None:
        self.told = told
        self.ended = False

    def run(self, *_: Any) -> Iterator[Any]:
        try:
            yield self.told
        finally:
            self.ended = True


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (progress, train_progress):
        monkeypatch.setattr(module, "create_progress_artifact", lambda *_: uuid.uuid4())
        monkeypatch.setattr(module, "update_progress_artifact", stop)
        monkeypatch.setattr(module, "_SECONDS_BETWEEN_UPDATES", -1.0)
    for module in (chunks, train):
        monkeypatch.setattr(module, "get_run_logger", lambda: LOGGER)


@pytest.mark.parametrize("committed", [stop, lambda parts: None], ids=["publishing", "showing"])
def test_actors_end_where_a_run_is_stopped(monkeypatch: pytest.MonkeyPatch, committed: Any) -> None:
    pool = Workers(RESULT)
    monkeypatch.setattr(chunks, "_pool", lambda *_: pool)
    run: Any = SimpleNamespace(
        settings=SimpleNamespace(chunk_pairs=4, log_format="text"),
        identity=SimpleNamespace(run_id="r", model_hash="m", settings_hash="s"),
        credentials=dict,
        watch=Watch(),
    )
    plan: Any = SimpleNamespace(todo=pa.table({"pair_id": list("abcd")}))
    publisher: Any = SimpleNamespace(committed=committed, declare=stop, publish=stop)
    with pytest.raises(Stopped) as stopped:
        chunks.run_chunks(run, plan, publisher, make_actor=stop, verb="fuse")
    assert pool.ended
    assert stopped.tb is not None


def test_training_workers_end_where_a_training_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = Workers(ProgressEvent(1, 8))
    monkeypatch.setattr(train, "train", workers.run)
    monkeypatch.setattr(train, "alive_nodes", list)
    share = SimpleNamespace(count=1, cpus=1, gpus=0)
    monkeypatch.setattr(train, "training_share", lambda *_: share)
    job: Any = SimpleNamespace(settings=None)
    with pytest.raises(Stopped) as stopped:
        train.run_on_ray.fn(job, dict, LEASE)
    assert workers.ended
    assert stopped.tb is not None


def test_training_workers_end_where_another_training_took_the_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = Workers(ProgressEvent(1, 8))
    monkeypatch.setattr(train, "train", workers.run)
    monkeypatch.setattr(train, "alive_nodes", list)
    share = SimpleNamespace(count=1, cpus=1, gpus=0)
    monkeypatch.setattr(train, "training_share", lambda *_: share)
    job: Any = SimpleNamespace(settings=None)

    def lost() -> NoReturn:
        raise LeaseLostError("another one took the output over")

    with pytest.raises(LeaseLostError):
        train.run_on_ray.fn(job, dict, SimpleNamespace(check=lost))
    assert workers.ended
