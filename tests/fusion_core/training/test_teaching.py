"""A training with a teacher, in one process: what it learns, and what makes it another one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from tiny import timeless, tiny_model, train_settings_for, write_pairs

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.baselines import baseline_hash
from fusion_core.models.mini_config import MiniConfig
from fusion_core.models.weights_file import load_weights, save_weights
from fusion_core.training.job import Reporter, WorkerRank
from fusion_core.training.plan import plan_training
from fusion_core.training.run import run_training
from fusion_core.training.settings import VERSIONS, TrainSettings

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = MiniConfig(half=6, quarter=8, eighth=8, filters=2, hidden=5)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "in", [f"p{k}" for k in range(4)])
    return tmp_path / "in"


def taught(source: Path, output: Path, **changes: Any) -> TrainSettings:
    return train_settings_for(
        source, output, **{"validation": 1, "mini": SMALL, "teacher": "maximum", **changes}
    )


def train(settings: TrainSettings) -> Any:
    job, _ = plan_training(settings, {})
    run_training(job, WorkerRank(), Reporter(options=dict, report=lambda event: None))
    return json.loads((Path(settings.output) / "log.json").read_text())


def test_a_student_comes_nearer_to_its_teacher(source: Path, tmp_path: Path) -> None:
    alone = dict.fromkeys(("texture_weight", "gradient_weight", "fidelity_weight"), 0.0)
    short = {"steps": 60, "checkpoint_every": 20, "validate_every": 60}
    settings = taught(source, tmp_path / "out", learning_rate=1e-2, loss=alone, **short)
    distances = [record["terms"]["teacher"] for record in train(settings)["records"]]
    assert distances[-1] < 0.9 * distances[0]
    model, info = load_weights(f"{settings.output}/weights.safetensors")
    assert model.name == "refinefuse-mini"
    assert info.network == SMALL
    assert info.training["teacher_sha256"] == baseline_hash("maximum")
    assert info.training["versions"] == VERSIONS


def test_a_stopped_student_goes_on_to_the_same_weights(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, stopped = (taught(source, tmp_path / name) for name in ("a", "b"))
    expected = timeless(train(straight)["records"])

    class Stopped(Exception):
        pass

    def stop(event: Any) -> None:
        if event.record is not None and event.step >= 4:
            raise Stopped

    with pytest.raises(Stopped):
        run_training(
            plan_training(stopped, {})[0], WorkerRank(), Reporter(options=dict, report=stop)
        )
    assert timeless(train(stopped)["records"]) == expected
    one, other = (
        load_weights(f"{each.output}/weights.safetensors")[0] for each in (straight, stopped)
    )
    theirs = other.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("change", [{"teacher": "mean"}, {"versions": 5}, {"teacher": None}])
def test_another_teacher_or_other_versions_are_another_training(
    source: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    train(taught(source, tmp_path / "out"))
    with pytest.raises(WeightsError, match=r"other values of .*(teacher_sha256|versions)\."):
        train(taught(source, tmp_path / "out", **change))


def test_any_network_may_learn_from_any_other(source: Path, tmp_path: Path) -> None:
    url = str(tmp_path / "teacher.safetensors")
    save_weights(url, tiny_model(), {})
    train(taught(source, tmp_path / "out", mini=None, teacher=url))
    assert load_weights(str(tmp_path / "out/weights.safetensors"))[0].name == "refinefuse"


def test_a_teacher_that_is_not_there_stops_it_at_once(source: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No model at"):
        plan_training(taught(source, tmp_path / "out", teacher=str(tmp_path / "none")), {})


def test_versions_without_a_teacher_are_refused(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="versions is 3 and there is no teacher"):
        taught(source, tmp_path / "out", teacher=None, versions=3)


def test_weights_to_start_from_are_those_of_the_student(source: Path, tmp_path: Path) -> None:
    url = str(tmp_path / "start.safetensors")
    save_weights(url, tiny_model(), {})
    with pytest.raises(SettingsError, match="set mini to theirs"):
        train(taught(source, tmp_path / "out", start_from=url))
