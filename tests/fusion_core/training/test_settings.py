import pytest
from pydantic import ValidationError

from fusion_core.training.recipe import Recipe
from fusion_core.training.settings import TrainSettings


def settings(**fields: object) -> TrainSettings:
    return TrainSettings.model_validate({"source": "a", "output": "b", **fields})


def test_a_preset_reaches_the_settings_and_their_recipe() -> None:
    paper = settings(preset="paper", seed=4)
    assert paper.recipe() == Recipe(preset="paper", seed=4)
    assert TrainSettings(**paper.model_dump()) == paper


def test_validation_is_a_number_or_a_list() -> None:
    assert settings(validation="21").validation == 21
    assert settings(validation=3).validation == 3
    assert settings(validation="s3://b/ids.txt").validation == "s3://b/ids.txt"
    with pytest.raises(ValidationError, match="expected a number of pairs from 0 up"):
        settings(validation=-1)


@pytest.mark.parametrize("field", ["source", "output", "validation", "start_from", "index"])
def test_no_url_holds_a_password(field: str) -> None:
    with pytest.raises(ValidationError) as told:
        settings(**{field: "s3://key:hidden@bucket/x"})
    assert "holds a user name and password" in str(told.value)
    assert "hidden" not in str(told.value)


def test_a_worker_shares_no_gpu() -> None:
    assert settings(worker="gpu:1").worker == "gpu:1"
    with pytest.raises(ValidationError):
        settings(worker="gpu:0.5")
