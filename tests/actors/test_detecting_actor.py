"""The detecting actor; that it works on a cluster is shown by its flow."""

from pathlib import Path
from typing import Any

import pytest
from bright_squares import detect_settings_for, write_detector, write_square_pair
from tiny import TODAY

from actors.chunk_actor import Job
from actors.detecting_actor import DetectingActor
from fusion_core.detection import read_detector
from fusion_core.errors import WeightsError
from fusion_core.jobs.detect_settings import DetectSettings
from fusion_core.jobs.identity import RunIdentity
from fusion_core.models import Arithmetic


@pytest.fixture
def settings(tmp_path: Path) -> DetectSettings:
    write_square_pair(tmp_path / "in", "a", fused=[])
    far = f"{tmp_path}/far/{{pair}}.png"
    path = write_detector(tmp_path)
    return detect_settings_for(tmp_path / "in", tmp_path / "out", path, fused={"n": far})


def actor_of(settings: DetectSettings) -> Any:
    file = read_detector(settings.detector)
    identity = RunIdentity("run", TODAY, file.sha256, settings.settings_hash(file))
    return DetectingActor(Job(settings, identity), "cpu", 1.0)


def test_it_computes_as_the_first_one_settled(settings: DetectSettings) -> None:
    assert actor_of(settings)._prepare(None) == Arithmetic("cpu", "fp32", "openvino")
    settled = Arithmetic("cpu", "fp32", "onnxruntime")
    assert actor_of(settings)._prepare(settled) == settled


def test_sides_are_read_from_the_source_and_others_from_their_own_store(
    settings: DetectSettings,
) -> None:
    actor = actor_of(settings)
    actor._prepare(None)
    worker = actor._worker_for({})
    assert worker.fused["infrared"] is worker.fused["visible"] is worker.source
    assert worker.fused["n"].url("").endswith("/far")


def test_another_detector_than_the_run_began_with_is_refused(settings: DetectSettings) -> None:
    actor = actor_of(settings)
    write_detector(Path(settings.detector).parent, fill=3)
    with pytest.raises(WeightsError, match="has changed since the run began"):
        actor._prepare(None)
