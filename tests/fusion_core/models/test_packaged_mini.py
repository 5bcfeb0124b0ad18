"""The small network that is shipped: its file, and how near it comes to its teacher."""

import json
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

from fusion_core.demo.archive import make_pair
from fusion_core.images.colour import luminance
from fusion_core.metrics import METRIC_NAMES
from fusion_core.models.fuser import load_fuser, read_model
from fusion_core.models.mini_network import MiniFuse
from fusion_core.models.weights_file import load_weights

RECORD = Path(__file__).resolve().parents[3] / "tests/benchmarks/results/weights.json"
SETS = ("tno", "msrs", "roadscene_validation")
MINI, TEACHER = "refinefuse-mini", "refinefuse-1"
FARTHEST = 0.12  # of the teacher's mean, in any metric of any of these sets; the card has each


def recorded(part: str) -> dict[str, dict[str, float]]:
    """Means by method of an image set."""
    means = json.loads(RECORD.read_text())["results"]["means"]
    return {method: means[method][part] for method in (MINI, TEACHER)}


def test_the_file_says_what_it_learnt_from() -> None:
    folder = resources.files("fusion_core.models.weights")
    model, info = load_weights(MINI)
    assert isinstance(model, MiniFuse)
    assert len((folder / f"{MINI}.safetensors").read_bytes()) < 1_000_000
    assert info.training["teacher_sha256"] == read_model(TEACHER).model_hash
    assert info.training["preset"] == "mini"
    assert info.training["validation"] == (
        (folder / "roadscene_validation.txt").read_text().split()
    )
    assert info.sha256[:16] in (folder / "MINI_CARD.md").read_text()


@pytest.mark.parametrize("name", SETS)
def test_it_comes_as_near_to_its_teacher_as_was_recorded(name: str) -> None:
    means = recorded(name)
    for metric in METRIC_NAMES:
        assert means[MINI][metric] == pytest.approx(means[TEACHER][metric], rel=FARTHEST)


def test_it_fuses_a_street_much_as_its_teacher_does() -> None:
    pair = make_pair(3, 240, 320, "night")
    ir, vi = (torch.from_numpy(luminance(side))[None, None] for side in (pair.ir, pair.vi))
    mini, teacher = (load_fuser(name, "cpu", "fp32")(ir, vi).numpy() for name in (MINI, TEACHER))
    mean = ((ir + vi) / 2).numpy()
    assert np.corrcoef(mini.ravel(), teacher.ravel())[0, 1] > 0.9
    assert np.abs(mini - teacher).mean() < np.abs(mean - teacher).mean() / 2
