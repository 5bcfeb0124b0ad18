"""The whole training flow: a real Prefect API, Ray Train on a real cluster, local files and S3."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from prefect.artifacts import Artifact
from prefect.blocks.system import Secret
from prefect.settings import PREFECT_API_URL
from processes import command, descendants
from ray.cluster_utils import Cluster
from s3_servers import S3Server
from tiny import timeless, train_settings_for, write_pairs

from flows.ablate import ablate_refinefuse
from flows.train import train_refinefuse
from fusion_core.errors import OutputBusyError, WeightsError
from fusion_core.models.weights_file import load_weights
from fusion_core.storage.store import Storage
from fusion_core.training import ablation as ablation_settings
from fusion_core.training.ablation import AblateSettings
from fusion_core.training.job import Reporter, WorkerRank
from fusion_core.training.plan import plan_training
from fusion_core.training.run import run_training
from fusion_core.training.settings import TrainSettings

pytestmark = [
    pytest.mark.ray,
    pytest.mark.slow,
    pytest.mark.usefixtures("prefect_api", "ray_nodes"),
]
NAMES = [f"p{k}" for k in range(5)]
LONG = {"steps": 200, "batch": 4, "checkpoint_every": 10, "validate_every": 100, "validation": 1}
TWO_LOSSES = {name: ablation_settings.STUDIES["losses"][name] for name in ("full", "C")}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "in", NAMES)
    return tmp_path / "in"


def train_alone(settings: TrainSettings) -> list[dict[str, Any]]:
    """Train in this process, without Ray, and return the records."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run_training(plan_training(settings, {})[0], WorkerRank(), Reporter(dict, lambda event: None))
    torch.set_num_threads(threads)
    return records(settings)


def records(settings: TrainSettings) -> list[dict[str, Any]]:
    log = Path(settings.output) / "log.json"
    return timeless(json.loads(log.read_text())["records"]) if log.exists() else []


def weights(settings: TrainSettings) -> dict[str, torch.Tensor]:
    return load_weights(f"{settings.output}/weights.safetensors")[0].state_dict()


def wait_for_step(settings: TrainSettings, step: int, going: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not (found := records(settings)) or found[-1]["step"] < step:
        assert time.monotonic() < deadline
        assert going()
        time.sleep(0.01)


def ray_processes(*names: str) -> list[int]:
    below = descendants(os.getpid())
    return [pid for pid in below if any(f"ray::{name}" in command(pid) for name in names)]


@pytest.mark.long
def test_a_cancelled_training_ends_its_workers_and_the_next_run_ends_at_the_same_loss(
    source: Path, tmp_path: Path, ray_nodes: Cluster
) -> None:
    expected = train_alone(train_settings_for(source, tmp_path / "alone", **LONG))
    settings = train_settings_for(source, tmp_path / "out", lease_seconds=4, **LONG)
    options = ["--ray-address", ray_nodes.address]
    options += ["--worker", "cpu:1", "--network", settings.network.model_dump_json()]
    options += ["--loss", settings.loss.model_dump_json()]
    for name in ("source", "output", "precision", "crop", "warmup", "lease_seconds", *LONG):
        options += [f"--{name.replace('_', '-')}", str(getattr(settings, name))]
    environment = {**os.environ, "PREFECT_API_URL": str(PREFECT_API_URL.value())}
    fuse_archive = str(Path(sys.executable).with_name("fuse-archive"))
    with subprocess.Popen([fuse_archive, "train", *options], env=environment) as process:
        wait_for_step(settings, 4, lambda: process.poll() is None)
        at_work = r"-train-\w+ on \S+ is at work on .*into another output folder"
        with pytest.raises(OutputBusyError, match=at_work):
            train_refinefuse(settings)
        assert process.poll() is None
        wait_for_step(settings, 60, lambda: process.poll() is None)
        assert ray_processes("RayTrainWorker")
        process.terminate()
        deadline = time.monotonic() + 30  # a second or two where nothing else runs
        kinds = ("RayTrainWorker", "TrainController", "PlacementGroupCleaner", "TrainingMailbox")
        while left := ray_processes(*kinds):
            assert time.monotonic() < deadline, [command(pid) for pid in left]
            time.sleep(0.1)
        assert process.wait(60) != 0
    assert 60 <= records(settings)[-1]["step"] < 200
    summary = train_refinefuse(settings)
    assert (summary.steps, summary.pairs, summary.done_before) == (200, 4, False)
    assert summary.loss == pytest.approx(expected[-1]["loss"], abs=1e-3)
    assert records(settings) == expected

    text = Artifact.get("train-refinefuse-summary")
    assert text is not None
    assert "| 200 | " in str(text.data)
    progress = Artifact.get("train-refinefuse-progress")
    assert progress is not None
    assert progress.data == 100.0
    # Once finished, it is left alone, and nothing else may go into its folder.
    again = train_refinefuse(settings)
    assert again.done_before
    assert again.loss == summary.loss
    assert "was finished before" in again.markdown()
    with pytest.raises(WeightsError, match=r"other values of seed\."):
        train_refinefuse(settings.model_copy(update={"seed": 8}))


@pytest.mark.s3
@pytest.mark.long
def test_two_workers_on_s3_train_as_one_does_although_one_of_them_is_killed(
    source: Path,
    tmp_path: Path,
    s3: S3Server,
    s3_bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # The fidelity term is no mean over crops, so it depends on how a batch is divided; and AdamW
    # makes much of the rounding of small gradients.
    changes = {"loss": {"fidelity_weight": 0}, "optimiser": "sgd", "learning_rate": 0.02}
    long = {**LONG, "steps": 100, **changes}
    alone = train_settings_for(source, tmp_path / "alone", **long)
    train_alone(alone)
    options: Any = s3.storage_options()
    Secret(value=options).save("training", overwrite=True)
    for name in s3.env():
        monkeypatch.delenv(name)
    output = Storage(f"s3://{s3_bucket}/out", options)
    Storage(f"s3://{s3_bucket}", options).fs.put(str(source), f"{s3_bucket}/in", recursive=True)
    both = train_settings_for(
        f"s3://{s3_bucket}/in", output.url(""), **long, workers=2, credentials_block="training"
    )
    killed: list[int] = []

    def kill_one() -> None:
        while not output.exists("log.json"):
            time.sleep(0.02)
        killed.append(max(ray_processes("RayTrainWorker")))
        os.kill(killed[0], signal.SIGKILL)

    thread = threading.Thread(target=kill_one, daemon=True)
    thread.start()
    summary = train_refinefuse(both)
    thread.join(10)
    assert killed
    assert summary.weights == f"s3://{s3_bucket}/out/weights.safetensors"
    log = json.loads(output.read("log.json"))
    assert (log["machine"]["workers"], log["records"][-1]["step"]) == (2, 100)
    one = weights(alone)
    other = safetensors.torch.load(output.read("weights.safetensors"))
    for name in one:
        assert torch.allclose(one[name], other[name], atol=1e-5), name
    assert log["records"][-1]["loss"] == pytest.approx(records(alone)[-1]["loss"], abs=1e-5)
    # The block's values reach no file and no log.
    names = output.list()["path"].to_pylist()
    assert len([name for name in names if not name.startswith("runs/")]) == 4
    everything = b"".join(output.read(name) for name in names).decode("latin-1") + caplog.text
    assert s3.secret_key not in everything
    assert s3.access_key not in everything


@pytest.mark.long
def test_a_study_trains_what_is_missing_and_compares_all_in_one_table(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation_settings, "STUDIES", {"losses": TWO_LOSSES})
    write_pairs(tmp_path / "test", ["t0", "t1"])
    fields = train_settings_for(source, tmp_path / "study", steps=2).model_dump()
    settings = AblateSettings.model_validate(
        {**fields, "study": "losses", "evaluation": {"source": str(tmp_path / "test")}}
    )
    train_alone(settings.variants()["full"])
    summary = ablate_refinefuse(settings)
    done = {name: one.done_before for name, one in summary.trainings.items()}
    assert done == {"full": True, "C": False}
    assert summary.evaluation.pairs == 2
    assert summary.evaluation.means.keys() == {"full", "C"}
    assert "| full | " in summary.markdown()
    log = json.loads((tmp_path / "study/C/log.json").read_text())
    assert log["training"]["loss"]["texture_weight"] == 0
