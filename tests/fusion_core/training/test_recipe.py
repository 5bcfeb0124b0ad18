import pytest
from pydantic import ValidationError

from fusion_core.models.network_config import NetworkConfig
from fusion_core.training.loss_config import LATER_TERMS, PAPER_LOSS, ROBUST_LOSS, LossConfig
from fusion_core.training.recipe import PRESETS, Recipe


def test_the_paper_is_a_preset_and_what_is_given_wins() -> None:
    paper = Recipe(preset="paper")
    assert (paper.optimiser, paper.learning_rate, paper.schedule) == ("sgd", 1e-3, "constant")
    assert (paper.batch, paper.crop, paper.epochs, paper.steps) == (8, 256, 300, None)
    assert (paper.warmup, paper.average, paper.precision) == (0, 0, "fp32")
    assert paper.loss == LossConfig.model_validate(PAPER_LOSS)
    shorter = Recipe(preset="paper", batch=4, epochs=2)
    assert (shorter.batch, shorter.epochs, shorter.crop) == (4, 2, 256)


@pytest.mark.parametrize("preset", [*PRESETS])
def test_a_recipe_survives_its_own_values(preset: str) -> None:
    recipe = Recipe.model_validate({"preset": preset, "average": 0.5})
    assert Recipe(**recipe.model_dump()) == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_the_robust_recipe_asks_for_more_and_what_is_given_wins() -> None:
    robust = Recipe(preset="robust")
    assert (robust.steps, robust.black, robust.network.stretch) == (4000, 0.1, 1.02)
    assert robust.loss == LossConfig.model_validate(ROBUST_LOSS)
    shallow = Recipe.model_validate({"preset": "robust", "network": {"levels": 3}})
    assert shallow.network == NetworkConfig(levels=3, stretch=1.02)


@pytest.mark.parametrize("preset", [*PRESETS])
def test_what_is_switched_off_stays_off_when_a_recipe_is_read_again(preset: str) -> None:
    given = {"black": 0, "loss": dict.fromkeys(LATER_TERMS, 0), "network": {"stretch": 1}}
    recipe = Recipe.model_validate({"preset": preset} | given)
    for again in (
        Recipe(**recipe.model_dump()),
        Recipe.model_validate_json(recipe.model_dump_json()),
    ):
        assert (again.black, again.network.stretch) == (0, 1)
        assert [getattr(again.loss, name) for name in LATER_TERMS] == [0] * len(LATER_TERMS)


def test_what_a_recipe_of_before_did_not_know_is_not_told_where_it_is_off() -> None:
    told = Recipe().model_dump()
    assert not {"black", "mini"} & told.keys()
    assert not {*LATER_TERMS} & told["loss"].keys()
    assert "stretch" not in told["network"]
    on = Recipe.model_validate(
        {"black": 0.2, "loss": {"sky_weight": 1}, "network": {"stretch": 1.1}}
    )
    told = on.model_dump()
    assert (told["black"], told["loss"]["sky_weight"], told["network"]["stretch"]) == (0.2, 1, 1.1)


def test_the_length_is_in_steps_or_in_passes_over_the_pairs() -> None:
    assert Recipe().total_steps(9) == Recipe().steps == 4000
    assert Recipe(steps=7).total_steps(100) == 7
    # 300 passes over 1083 pairs in batches of 8.
    assert Recipe(preset="paper").total_steps(1083) == 40612
    assert Recipe(preset="paper", steps=5).epochs is None
    assert Recipe(epochs=2, batch=4).total_steps(10) == 5
    assert Recipe(epochs=0.01).total_steps(10) == 1
    with pytest.raises(ValidationError, match="found steps 5 and epochs 2; give one"):
        Recipe(steps=5, epochs=2)


@pytest.mark.parametrize(
    "wrong",
    [{"preset": "papers"}, {"precision": "fp16"}, {"batch": 0}, {"average": 1}, {"unknown": 1}],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recipe.model_validate(wrong)


def test_network_and_loss_are_part_of_it() -> None:
    recipe = Recipe.model_validate({"network": {"levels": 2}, "loss": {"intensity": "max"}})
    assert recipe.network == NetworkConfig(levels=2)
    assert recipe.loss == LossConfig(intensity="max")


def test_a_change_of_the_loss_keeps_the_rest_of_the_presets_loss() -> None:
    recipe = Recipe.model_validate({"preset": "paper", "loss": {"intensity": "max"}})
    assert recipe.loss == LossConfig.model_validate({**PAPER_LOSS, "intensity": "max"})
    assert Recipe(preset="paper", loss=LossConfig()).loss == LossConfig()


def test_crops_are_large_enough_for_the_loss() -> None:
    with pytest.raises(ValidationError, match=r"found crop 16; .* at least 17"):
        Recipe(crop=16)
    assert Recipe.model_validate({"crop": 16, "loss": {"fidelity_weight": 0}}).crop == 16
