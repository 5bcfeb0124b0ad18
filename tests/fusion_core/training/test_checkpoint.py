import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tiny import TINY
from training_records import record, scores

from fusion_core.errors import StorageError, WeightsError
from fusion_core.storage import local as local_files
from fusion_core.storage.store import Storage
from fusion_core.training.checkpoint import (
    Checkpoint,
    check_same,
    read_checkpoint,
    resume,
    write_checkpoint,
)
from fusion_core.training.recipe import Recipe
from fusion_core.training.trainer import Trainer

TRAINING = {"seed": 1, "loss": {"intensity": "max", "texture_weight": 1.0}}


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(Recipe(precision="fp32", network=TINY), 10)


def written(output: Storage, trainer: Trainer, step: int = 7) -> None:
    records = (record(step - 1), record(step, validation=scores(vif=None)))
    write_checkpoint(output, "c", Checkpoint(step, TRAINING, records, trainer.state()))


def test_what_is_written_is_read(tmp_path: Path, trainer: Trainer) -> None:
    output = Storage(str(tmp_path))
    assert read_checkpoint(output, "c") is None
    written(output, trainer)
    found = read_checkpoint(output, "c")
    assert found is not None
    assert (found.step, found.training) == (7, TRAINING)
    assert found.records == (record(6), record(7, validation=scores(vif=None)))
    state = trainer.state()
    assert found.tensors.keys() == state.keys()
    assert all(torch.equal(found.tensors[name], state[name]) for name in state)
    resume(trainer, found, "c")
    assert trainer.step == 7


def test_a_write_that_is_cut_leaves_the_checkpoint_before(
    tmp_path: Path, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Storage(str(tmp_path), retry_seconds=0.1)
    written(output, trainer, step=7)

    def full_disk(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(local_files.os, "fsync", full_disk)
    with pytest.raises(StorageError, match="No space left"):
        written(output, trainer, step=8)
    found = read_checkpoint(output, "c")
    assert found is not None
    assert found.step == 7
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_damaged_or_foreign_file_is_told_apart(tmp_path: Path, trainer: Trainer) -> None:
    output = Storage(str(tmp_path))
    written(output, trainer)
    whole = (tmp_path / "c").read_bytes()
    for damaged in (whole[:-9], whole[:40], b"", b"PK\x03\x04" + whole):
        (tmp_path / "c").write_bytes(damaged)
        with pytest.raises(WeightsError, match="is damaged or no checkpoint"):
            read_checkpoint(output, "c")
    for metadata in (None, {"format": "1"}, {"checkpoint": json.dumps("0")}):
        (tmp_path / "c").write_bytes(safetensors.torch.save(trainer.state(), metadata))
        with pytest.raises(WeightsError, match="no checkpoint that this version reads"):
            read_checkpoint(output, "c")
    whole_header = {"checkpoint": '"1"', "step": "7", "training": "{}"}
    for log in ("{", "[]", "{}", '{"records": 1}', '{"records": [{"step": 7}]}'):
        (tmp_path / "c").write_bytes(
            safetensors.torch.save(trainer.state(), {**whole_header, "log": log})
        )
        with pytest.raises(WeightsError, match="holds no records of a training"):
            read_checkpoint(output, "c")


def test_tensors_that_fit_no_such_training_are_refused(trainer: Trainer) -> None:
    tensors = trainer.state()
    del tensors["model.head.weight"]
    with pytest.raises(WeightsError, match=r"don't fit .*head\.weight"):
        resume(trainer, Checkpoint(1, TRAINING, (), tensors), "c")


def test_other_settings_are_named() -> None:
    check_same("c", TRAINING, json.loads(json.dumps(TRAINING)))
    other = {"seed": 2, "loss": {"intensity": "max", "texture_weight": 0.0}, "batch": 4}
    expected = r"c was written with other values of batch, loss\.texture_weight, seed\. Train"
    with pytest.raises(WeightsError, match=expected):
        check_same("c", TRAINING, other)
