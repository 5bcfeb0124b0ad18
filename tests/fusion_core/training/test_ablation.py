from typing import Any

import pytest
from pydantic import ValidationError

from fusion_core.training.ablation import AblateSettings
from fusion_core.training.loss_config import PAPER_LOSS, LossConfig
from fusion_core.training.settings import TrainSettings


def study(name: str, **fields: Any) -> AblateSettings:
    given = {"source": "a", "output": "s3://b/out/", "evaluation": {"source": "t"}, "study": name}
    return AblateSettings.model_validate({**given, **fields})


def test_the_losses_of_table_8() -> None:
    losses = {name: v.loss for name, v in study("losses").variants().items()}
    assert losses["full"] == LossConfig()
    paper = LossConfig.model_validate(PAPER_LOSS)
    assert losses["paper"] == paper
    assert losses["A"] == paper.model_copy(update={"intensity": "mean"})
    assert losses["B"] == paper.model_copy(update={"intensity": "max"})
    assert losses["C"] == paper.model_copy(update={"texture_weight": 0.0})
    assert len(losses) == 5


def test_the_levels_of_table_9() -> None:
    variants = study("levels").variants()
    assert [v.network.levels for v in variants.values()] == [1, 2, 3, 4, 5]
    assert [*variants] == [f"levels-{k}" for k in range(1, 6)]


def test_the_blocks_of_table_10() -> None:
    networks = {name: v.network for name, v in study("blocks").variants().items()}
    assert {name: (n.sfim, n.psim, n.fim) for name, n in networks.items()} == {
        "full": (True, True, True),
        "no-sfim": (False, True, True),
        "no-psim": (True, False, True),
        "no-fim": (True, True, False),
    }


def test_each_open_choice_changes_the_loss_alone_and_none_is_tried_twice() -> None:
    variants = study("choices").variants()
    losses = {name: v.loss for name, v in variants.items()}
    assert losses["full"] == LossConfig()
    assert len({loss.model_dump_json() for loss in losses.values()}) == len(losses) == 10
    assert {v.network for v in variants.values()} == {variants["full"].network}
    texture, intensity = losses["lambda-texture"], losses["lambda-intensity"]
    assert (texture.texture_weight, texture.intensity_weight) == (5, 1)
    assert (intensity.texture_weight, intensity.intensity_weight) == (1, 5)
    assert texture.model_copy(update={"texture_weight": 1.0, "intensity_weight": 5.0}) == intensity


def test_a_variant_is_the_training_that_was_given_but_for_its_change() -> None:
    given = {"preset": "paper", "epochs": 2, "seed": 3, "loss": {"neighbourhood": 11}}
    variant = study("losses", **given).variants()["B"]
    assert type(variant) is TrainSettings
    assert variant.output == "s3://b/out/B"
    assert (variant.optimiser, variant.epochs, variant.seed) == ("sgd", 2, 3)
    assert (variant.loss.neighbourhood, variant.loss.intensity) == (11, "max")


def test_all_variants_are_evaluated_together() -> None:
    pairs = {"source": "t", "ir": "i/{pair}.jpg", "vi": "v/{pair}.jpg", "published": "tno"}
    evaluation = study("blocks", evaluation=pairs, worker="cpu:2").evaluating()
    assert (evaluation.source, evaluation.ir, evaluation.published) == ("t", "i/{pair}.jpg", "tno")
    assert evaluation.output == "s3://b/out/evaluation"
    assert evaluation.worker == "cpu:2"
    assert evaluation.models["no-fim"] == "s3://b/out/no-fim/weights.safetensors"
    assert len(evaluation.models) == 4


def test_a_study_that_cannot_be_trained_is_refused_at_once() -> None:
    with pytest.raises(ValidationError, match="widths has 3 entries for 4 levels"):
        study("levels", network={"levels": 2, "widths": (8, 8, 8)})
    with pytest.raises(ValidationError, match="holds a user name and password"):
        study("levels", evaluation={"source": "s3://key:hidden@b"})
