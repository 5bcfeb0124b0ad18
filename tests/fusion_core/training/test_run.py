"""A training in one process, without Ray: what it writes, and what a stop leaves of it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import TINY, timeless, tiny_model, train_settings_for, write_pairs

from fusion_core.archive.lease_record import LeaseRecord, write_record
from fusion_core.errors import LeaseLostError, SettingsError, TrainingError, WeightsError
from fusion_core.models.weights_file import load_weights, save_weights
from fusion_core.storage.store import Storage
from fusion_core.training.job import Reporter, WorkerRank
from fusion_core.training.plan import finished_log, plan_training
from fusion_core.training.record import ProgressEvent
from fusion_core.training.run import run_training
from fusion_core.training.settings import TrainSettings

pytestmark = pytest.mark.usefixtures("one_thread")

ALONE = Reporter(options=dict, report=lambda event: None)
NAMES = [f"p{k}" for k in range(5)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_pairs(tmp_path / "in", NAMES)
    return tmp_path / "in"


def train(
    settings: TrainSettings, reporter: Reporter = ALONE, rank: WorkerRank | None = None
) -> Any:
    """Train and return the log."""
    run_training(plan_training(settings, {})[0], rank or WorkerRank(), reporter)
    return json.loads((Path(settings.output) / "log.json").read_text())


def weights(settings: TrainSettings) -> dict[str, torch.Tensor]:
    return load_weights(f"{settings.output}/weights.safetensors")[0].state_dict()


def test_a_training_leaves_weights_checkpoint_log_and_curve(source: Path, tmp_path: Path) -> None:
    settings = train_settings_for(source, tmp_path / "out", validation=2, seed=5)
    events: list[ProgressEvent] = []
    log = train(settings, Reporter(options=dict, report=events.append))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("weights.safetensors", "checkpoint.safetensors", "log.json", "curve.png")
    }
    assert [record["step"] for record in log["records"]] == [2, 4, 6, 8]
    assert [bool(record["validation"]) for record in log["records"]] == [False, True, False, True]
    # Where a step takes two seconds, there is an event without a record.
    assert [event.record.model_dump() for event in events if event.record] == log["records"]
    assert (log["finished"], log["training"]["seed"], log["training"]["pairs"]) == (True, 5, 3)
    assert log["training"]["validation"] == ["p3", "p4"], "the end of the one sequence"
    assert str(tmp_path) not in json.dumps(log)
    model, info = load_weights(f"{settings.output}/weights.safetensors")
    assert model.config == TINY
    assert info.training == {**log["training"], "result": log["records"][-1]}


def test_equal_seeds_give_equal_weights(source: Path, tmp_path: Path) -> None:
    runs = [
        train_settings_for(source, tmp_path / name, seed=seed, precision="bf16")
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    logs = [timeless(train(settings)["records"]) for settings in runs]
    assert logs[0] == logs[1] != logs[2]
    one, other, third = (weights(settings) for settings in runs)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["head.weight"], third["head.weight"])


SCRIPT = """
import sys
import torch
from fusion_core.training.settings import TrainSettings
from fusion_core.training.plan import plan_training
from fusion_core.training.job import Reporter, WorkerRank
from fusion_core.training.run import run_training

torch.set_num_threads(1)
settings = TrainSettings.model_validate_json(sys.argv[1])
run_training(plan_training(settings, {})[0], WorkerRank(), Reporter(dict, lambda event: None))
"""


def test_a_training_that_is_killed_and_resumed_ends_at_the_same_loss(
    source: Path, tmp_path: Path
) -> None:
    long = {"steps": 200, "batch": 4, "checkpoint_every": 10, "validate_every": 50}
    straight = train_settings_for(source, tmp_path / "a", validation=1, **long)
    killed = train_settings_for(source, tmp_path / "b", validation=1, **long)
    expected = timeless(train(straight)["records"])
    log = tmp_path / "b/log.json"
    with subprocess.Popen([sys.executable, "-c", SCRIPT, killed.model_dump_json()]) as process:
        deadline = time.monotonic() + 60
        while not log.exists() or json.loads(log.read_text())["records"][-1]["step"] < 100:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    stopped = json.loads(log.read_text())
    assert 100 <= stopped["records"][-1]["step"] < 200
    assert not stopped["finished"]
    found = timeless(train(killed)["records"])
    assert found[-1]["loss"] == pytest.approx(expected[-1]["loss"], abs=1e-3)
    assert found == expected
    one, other = weights(straight), weights(killed)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_stop_between_the_last_checkpoint_and_the_log_is_made_good(
    source: Path, tmp_path: Path
) -> None:
    settings = train_settings_for(source, tmp_path / "out")
    records = train(settings)["records"]
    (tmp_path / "out/log.json").unlink()
    (tmp_path / "out/weights.safetensors").unlink()
    log = train(settings)
    assert log["finished"]
    assert log["records"] == records
    assert weights(settings)


def test_a_finished_training_is_known_and_another_one_is_refused(
    source: Path, tmp_path: Path
) -> None:
    settings = train_settings_for(source, tmp_path / "out")
    assert finished_log(plan_training(settings, {})[0], {}) is None
    train(settings)
    log = finished_log(plan_training(settings, {})[0], {})
    assert log is not None
    assert log.records[-1].step == 8
    other, _ = plan_training(train_settings_for(source, tmp_path / "out", seed=1, batch=1), {})
    with pytest.raises(WeightsError, match=r"log\.json was written with .* batch, seed\. Train"):
        finished_log(other, {})
    with pytest.raises(WeightsError, match=r"checkpoint\.safetensors was written with .* batch,"):
        run_training(other, WorkerRank(), ALONE)
    write_pairs(source, ["new"])
    with pytest.raises(WeightsError, match="pairs, pairs_digest"):
        finished_log(plan_training(settings, {})[0], {})
    # How often it saves decides nothing.
    (source / "ir/new.png").unlink()
    rarer = train_settings_for(source, tmp_path / "out", checkpoint_every=4)
    assert finished_log(plan_training(rarer, {})[0], {})


def test_a_training_on_s3_by_an_index(s3_bucket: str, tmp_path: Path) -> None:
    source = Storage(f"s3://{s3_bucket}/in")
    write_pairs(source.url(""), NAMES)
    rows = [f"{name},ir/{name}.png,vi/{name}.png" for name in NAMES[:4]]
    source.write("pairs.csv", "\n".join(["pair_id,ir,vi", *rows]).encode())
    source.write("apart.txt", b"p2\n\np0\n")
    settings = train_settings_for(
        source.url(""),
        f"s3://{s3_bucket}/out",
        index=source.url("pairs.csv"),
        validation=source.url("apart.txt"),
        epochs=4,
    )
    job, pairing = plan_training(settings, {})
    assert [ref.pair_id for ref in job.pairs] == ["p1", "p3"]
    assert [ref.pair_id for ref in job.validation] == ["p0", "p2"]
    assert "pairs.csv" in pairing.unmatched
    run_training(job, WorkerRank(), ALONE)
    log = json.loads(Storage(settings.output).read("log.json"))
    assert log["records"][-1]["step"] == 4  # 4 passes over 2 pairs in batches of 2
    assert load_weights(f"{settings.output}/weights.safetensors")[1].training["epochs"] == 4


def test_a_training_that_was_begun_with_other_pairs_apart_goes_on_with_those(
    source: Path, tmp_path: Path
) -> None:
    """Version 0.1.0 spread them over all, whatever sequence they were of."""
    settings = train_settings_for(source, tmp_path / "out", validation=2)
    log = train(settings)
    log["training"]["validation"] = ["p1", "p3"]
    (tmp_path / "out/log.json").write_text(json.dumps(log))
    job, _ = plan_training(settings, {})
    assert [ref.pair_id for ref in job.validation] == ["p1", "p3"]
    assert [ref.pair_id for ref in job.pairs] == ["p0", "p2", "p4"]


def test_validation_pairs_that_are_not_there_are_named(source: Path, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    settings = train_settings_for(source, tmp_path / "out", validation=str(ids))
    with pytest.raises(SettingsError, match="there is no list of validation pairs"):
        plan_training(settings, {})
    ids.write_text("p1\nq\n")
    with pytest.raises(SettingsError, match=r"names 1 pairs that are not in the archive.*'q'"):
        plan_training(settings, {})
    ids.write_text("\n".join(NAMES))
    with pytest.raises(SettingsError, match="5 of them are for validation, so none is left"):
        plan_training(settings, {})


def test_fine_tuning_starts_from_weights_of_the_same_network(source: Path, tmp_path: Path) -> None:
    start = f"{tmp_path}/start.safetensors"
    save_weights(start, tiny_model(), {})
    slow = {"learning_rate": 1e-9, "weight_decay": 0, "start_from": start}
    tuned = train_settings_for(source, tmp_path / "out", **slow)
    log = train(tuned)
    assert log["training"]["start_sha256"] == load_weights(start)[1].sha256
    assert torch.allclose(weights(tuned)["head.weight"], tiny_model().head.weight, atol=1e-6)
    network = {**tiny_model().config.model_dump(), "stretch": 1.5}
    stretched = train_settings_for(source, tmp_path / "wide", **slow | {"network": network})
    again = train(stretched)
    assert again["records"][0]["loss"] != pytest.approx(log["records"][0]["loss"], rel=1e-3)
    assert torch.allclose(weights(stretched)["head.weight"], weights(tuned)["head.weight"])
    assert load_weights(stretched.output + "/weights.safetensors")[1].network.stretch == 1.5
    other = train_settings_for(source, tmp_path / "x", network={"levels": 1}, start_from=start)
    with pytest.raises(SettingsError, match=r"are of a network with .*'levels': 2.*set network"):
        train(other)


def test_black_parts_and_the_robust_terms_reach_the_loss(source: Path, tmp_path: Path) -> None:
    plain = train(train_settings_for(source, tmp_path / "plain", steps=2))["records"][0]
    black = {"black": 1, "loss": {"black_weight": 5}, "steps": 2}
    found = train(train_settings_for(source, tmp_path / "black", **black))["records"][0]
    assert found["terms"]["black"] > 0.1, (
        "parts of all crops are black, and an untrained network is grey"
    )
    assert "black" not in plain["terms"]


def test_a_diverged_loss_stops_it(source: Path, tmp_path: Path) -> None:
    # The paper's optimiser, without its small rate.
    wild = {"optimiser": "sgd", "learning_rate": 1e30, "clip": 0, "steps": 50}
    with pytest.raises(TrainingError, match="the training has diverged"):
        train(train_settings_for(source, tmp_path / "wild", **wild))


def test_what_another_training_took_over_is_not_written_to(source: Path, tmp_path: Path) -> None:
    """As after a sleep of the machine, during which its lease ended."""
    settings = train_settings_for(source, tmp_path / "out")
    job, _ = plan_training(settings, {})
    output = Storage(settings.output)
    held = LeaseRecord(run_id="second", host="there", token="t", seconds=60)
    write_record(output, 1, held.model_copy(update={"run_id": "first"}))
    run_training(replace(job, generation=1), WorkerRank(), ALONE)
    for path in (tmp_path / "out").glob("*.*"):
        path.unlink()
    write_record(output, 2, held)
    with pytest.raises(LeaseLostError, match=r"^second took .*/out.* over from this training"):
        run_training(replace(job, generation=1), WorkerRank(), ALONE)
    assert not list((tmp_path / "out").glob("*.*"))
