from itertools import chain

import pytest
from pydantic import BaseModel

from fusion_core.jobs import EvaluateSettings, ScoreArchiveSettings
from fusion_core.settings import GROUPS, FuseArchiveSettings, grouped
from fusion_core.training import AblateSettings, TrainSettings


@pytest.mark.parametrize(
    "settings",
    [FuseArchiveSettings, ScoreArchiveSettings, EvaluateSettings, TrainSettings, AblateSettings],
)
def test_every_setting_is_in_one_group_and_those_that_are_required_come_first(
    settings: type[BaseModel],
) -> None:
    names = [*chain.from_iterable(names for _, names in grouped(settings))]
    assert sorted(names) == sorted(settings.model_fields)
    assert names[:2] == ["source", "output"]


def test_no_name_is_in_two_groups() -> None:
    names = [*chain.from_iterable(group.fields for group in GROUPS)]
    assert len(names) == len({*names})


def test_a_setting_without_a_group_is_named() -> None:
    class Settings(BaseModel):
        source: str
        colour: str

    with pytest.raises(KeyError, match="colour"):
        grouped(Settings)
