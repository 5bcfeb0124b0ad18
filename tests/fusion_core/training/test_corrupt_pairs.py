"""Trainings on archives of which some pairs can't be read, in one process and without Ray."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import png, timeless, train_settings_for, write_pairs

from fusion_core.errors import PairError, TooManyFailuresError, UnreachableError
from fusion_core.models.weights_file import load_weights
from fusion_core.storage.store import Storage
from fusion_core.training.job import Reporter, WorkerRank
from fusion_core.training.plan import plan_training
from fusion_core.training.record import LeftOut, ProgressEvent
from fusion_core.training.run import run_training
from fusion_core.training.settings import TrainSettings
from fusion_core.training.sources import open_sources

pytestmark = pytest.mark.usefixtures("one_thread")

NAMES = [f"p{k}" for k in range(6)]
WAYS: dict[str, Callable[[Path], None]] = {
    "text": lambda file: overwrite(file, b"text"),
    "empty": lambda file: overwrite(file, b""),
    "truncated": lambda file: overwrite(file, file.read_bytes()[:400]),
    "another size": lambda file: overwrite(file, png(np.zeros((9, 9), np.uint8))),
    "too large": lambda file: overwrite(file, png(np.zeros((1100, 1000), np.uint8))),
}


class Stopped(Exception):
    """What ends a training on the way."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "in", NAMES)
    return tmp_path / "in"


def overwrite(file: Path, body: bytes) -> None:
    file.write_bytes(body)


def spoil(source: Path, *names: str) -> None:
    for name in names:
        overwrite(source / f"vi/{name}.png", b"text")


def train(
    settings: TrainSettings, report: Callable[[ProgressEvent], None] = lambda event: None
) -> Any:
    """Train and return the log."""
    job, _ = plan_training(settings, {})
    run_training(job, WorkerRank(), Reporter(options=dict, report=report))
    return json.loads((Path(settings.output) / "log.json").read_text())


def left_out(log: Any) -> list[str]:
    return [one["pair_id"] for one in log["left_out"]]


def weights(settings: TrainSettings) -> dict[str, torch.Tensor]:
    return load_weights(f"{settings.output}/weights.safetensors")[0].state_dict()


def equal(one: TrainSettings, other: TrainSettings) -> bool:
    theirs = weights(other)
    return all(torch.equal(value, theirs[name]) for name, value in weights(one).items())


@pytest.mark.parametrize("way", WAYS)
def test_a_corrupt_pair_is_left_out_and_named(source: Path, tmp_path: Path, way: str) -> None:
    WAYS[way](source / "ir/p2.png")
    events: list[ProgressEvent] = []
    settings = train_settings_for(source, tmp_path / "out", max_megapixels=1.0)
    log = train(settings, events.append)
    assert log["finished"]
    ((name, reason),) = [one.values() for one in log["left_out"]]
    assert name == "p2"
    assert "p2.png" in reason or "9x9" in reason
    told = [pair.model_dump() for event in events for pair in event.left_out]
    assert told == log["left_out"]


def test_a_pair_of_one_value_is_trained_on(source: Path, tmp_path: Path) -> None:
    overwrite(source / "ir/p2.png", png(np.full((24, 32), 7, np.uint8)))
    log = train(train_settings_for(source, tmp_path / "out"))
    assert log["left_out"] == []


def test_a_stopped_training_goes_on_to_the_same_weights_and_names_the_same_pairs(
    source: Path, tmp_path: Path
) -> None:
    spoil(source, "p1", "p4")
    straight, stopped, small = (
        train_settings_for(source, tmp_path / name, seed=3, **changes)
        for name, changes in (("a", {}), ("b", {}), ("c", {"memory_mb": 1, "io_threads": 1}))
    )
    expected = train(straight)

    def stop(event: ProgressEvent) -> None:
        if event.record is not None and event.step >= 6:
            raise Stopped

    with pytest.raises(Stopped):
        train(stopped, stop)
    events: list[ProgressEvent] = []
    logs = [train(stopped, events.append), train(small)]
    assert min(event.step for event in events) > 6
    assert sorted(left_out(expected)) == ["p1", "p4"]
    for log in logs:
        assert log["left_out"] == expected["left_out"]
        assert timeless(log["records"]) == timeless(expected["records"])
    assert equal(straight, stopped)
    assert equal(straight, small)


def test_a_student_is_taught_without_the_corrupt_pairs(source: Path, tmp_path: Path) -> None:
    spoil(source, "p1", "p5")
    taught = {"teacher": "maximum", "validation": 2, "validate_every": 8}
    one, other = (train_settings_for(source, tmp_path / name, **taught) for name in "ab")
    logs = [train(one), train(other)]
    assert sorted(left_out(logs[0])) == ["p1", "p5"]
    assert timeless(logs[0]["records"]) == timeless(logs[1]["records"])
    assert equal(one, other)


def test_each_worker_cuts_the_same_batches_and_finds_the_same_pairs(
    source: Path, tmp_path: Path
) -> None:
    spoil(source, "p1", "p4")
    settings = train_settings_for(source, tmp_path / "out", batch=4)
    job, _ = plan_training(settings, {})
    found: list[LeftOut] = []
    first, second = (WorkerRank(index=index, workers=2) for index in range(2))
    with open_sources(job, first, dict) as one, open_sources(job, second, dict) as other:
        for step in range(8):
            batches = one.batch(step, 8), other.batch(step, 8)
            assert torch.equal(batches[0].ir, batches[1].ir)
            assert torch.equal(batches[0].vi, batches[1].vi)
            told = one.newly_left_out()
            assert told == other.newly_left_out()
            found += told
    assert sorted(pair.pair_id for pair in found) == ["p1", "p4"]


def test_a_corrupt_validation_pair_is_left_out_of_the_means(source: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    scores = []
    for names in ("p4\np5\n", "p4\n"):
        ids.write_text(names)
        if "p5" in names:
            spoil(source, "p5")
        else:
            (source / "vi/p5.png").unlink()  # else it would be trained on
        output = tmp_path / str(len(names))
        log = train(train_settings_for(source, output, validation=str(ids)))
        scores.append((left_out(log), log["records"][-1]["validation"]))
    assert [names for names, _ in scores] == [["p5"], []]
    assert scores[0][1] == scores[1][1]


def test_that_no_pair_to_validate_on_can_be_used_is_said_before_the_first_step(
    source: Path, tmp_path: Path
) -> None:
    spoil(source, "p4", "p5")
    events: list[ProgressEvent] = []
    settings = train_settings_for(source, tmp_path / "out", validation=2, max_failed=1)
    with pytest.raises(TooManyFailuresError, match=r"2 of the 2 pairs read so far, of 2.*p4: vi"):
        train(settings, events.append)
    assert events == []
    assert not (tmp_path / "out").exists()


def test_too_many_of_them_are_an_error_and_max_failed_allows_more(
    source: Path, tmp_path: Path
) -> None:
    spoil(source, "p0", "p1", "p3", "p5")
    settings = train_settings_for(source, tmp_path / "out")
    with pytest.raises(TooManyFailuresError, match=r"4 of the \d pairs read so far, of 6.*p\d: vi"):
        train(settings)
    log = train(settings.model_copy(update={"max_failed": 0.7}))
    assert log["finished"]
    assert len(left_out(log)) == 4


def test_a_store_that_fails_leaves_no_pair_out(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = train_settings_for(source, tmp_path / "out")
    job, _ = plan_training(settings, {})
    events: list[ProgressEvent] = []
    reporter = Reporter(options=dict, report=events.append)
    read = Storage.read

    def silent(self: Storage, path: str, *args: Any, **kwargs: Any) -> bytes:
        if path == "vi/p2.png":
            raise UnreachableError("can't read vi/p2.png: no whole answer")
        return read(self, path, *args, **kwargs)

    with monkeypatch.context() as down:
        down.setattr(Storage, "read", silent)
        with pytest.raises(UnreachableError, match="no whole answer"):
            run_training(job, WorkerRank(), reporter)
    (source / "vi/p2.png").unlink()
    with pytest.raises(PairError, match=r"pair p2 can't be trained on: vi/p2\.png is gone"):
        run_training(job, WorkerRank(), reporter)
    assert not any(event.left_out for event in events)
