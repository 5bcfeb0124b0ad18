import json
from pathlib import Path

import pytest
import torch
from tiny import TINY
from training_records import scores

from fusion_core.errors import SettingsError, TrainingError
from fusion_core.storage.store import Storage
from fusion_core.training.log import TrainingLog, machine_facts, read_log, versions
from fusion_core.training.recipe import Recipe
from fusion_core.training.trainer import Trainer


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(Recipe(precision="fp32", network=TINY), 10)


def terms(a: float, b: float) -> dict[str, torch.Tensor]:
    return {"a": torch.tensor(a), "b": torch.tensor(b)}


def test_a_record_is_the_mean_since_the_one_before(trainer: Trainer) -> None:
    log = TrainingLog()
    log.add(terms(1, 10))
    log.add(terms(2, 20))
    trainer.step = 2
    first = log.record(trainer, log.means())
    assert (first.step, first.loss, first.terms) == (2, 16.5, {"a": 1.5, "b": 15.0})
    assert first.learning_rate == trainer.learning_rate
    log.add(terms(3, 30))
    second = log.record(trainer, log.means())
    assert second.loss == 33
    assert second.seconds >= first.seconds
    assert log.records == [first, second]
    completed = log.add_validation(scores())
    assert completed == second.model_copy(update={"validation": scores()})
    assert log.records == [first, completed]


def test_a_training_that_diverges_says_so(trainer: Trainer) -> None:
    log = TrainingLog()
    log.add(terms(1, float("nan")))
    trainer.step = 7
    with pytest.raises(TrainingError, match="the loss is nan at step 7"):
        log.record(trainer, log.means())
    assert log.records == []


def test_facts_name_no_host_user_or_folder() -> None:
    facts = machine_facts("cpu", 2)
    assert facts["workers"] == 2
    assert facts["cpus"] > 0
    assert facts["device"].startswith("cpu (")
    assert {"fuse-archive", "torch", "ray", "python"} == versions().keys()
    assert "/" not in json.dumps([facts, versions()])


@pytest.mark.parametrize("body", ["", "[1]", "{}", '{"finished": 1, "training": {}}'])
def test_a_log_of_something_else_is_no_log(tmp_path: Path, body: str) -> None:
    output = Storage(str(tmp_path))
    assert read_log(output) is None
    (tmp_path / "log.json").write_text(body)
    with pytest.raises(SettingsError, match=r"log\.json is no log of a training"):
        read_log(output)
