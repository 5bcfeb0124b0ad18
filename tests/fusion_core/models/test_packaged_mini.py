"""The small network that is shipped: its file, and how near it comes to its teacher."""

import csv
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

RESULTS = Path(__file__).resolve().parents[3] / "tests/benchmarks/results"
SETS = ("tno", "msrs", "roadscene")
MINI, TEACHER = "refinefuse-mini", "refinefuse"
FARTHEST = 0.12  # of the teacher's mean, in any metric of any set; the card has each


def recorded(name: str) -> dict[str, dict[str, float]]:
    """Means by method of an image set."""
    with (RESULTS / f"evaluation_{name}.csv").open() as lines:
        rows = {row["method"]: row for row in csv.DictReader(lines)}
    return {
        method: {metric: float(rows[method][metric]) for metric in METRIC_NAMES}
        for method in (MINI, TEACHER)
    }


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


def test_the_card_states_the_recorded_figures() -> None:
    card = (resources.files("fusion_core.models.weights") / "MINI_CARD.md").read_text()
    for name in SETS:
        means = recorded(name)
        for method in (MINI, TEACHER):
            row = " | ".join(f"{means[method][metric]:.3f}" for metric in METRIC_NAMES)
            assert row in card, (name, method)
        shares = (means[MINI][metric] / means[TEACHER][metric] - 1 for metric in METRIC_NAMES)
        assert " | ".join(f"{100 * share:+.1f} %" for share in shares) in card, name


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
