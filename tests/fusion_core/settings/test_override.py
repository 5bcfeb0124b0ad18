from typing import Annotated, Any

import jsonschema
import pytest
from jsonschema.exceptions import best_match
from pydantic import BaseModel, create_model

from fusion_core.errors import SettingsError
from fusion_core.jobs import EvaluateSettings
from fusion_core.settings import FuseArchiveSettings, OverrideOf, overridden
from fusion_core.training import TrainSettings

NIGHTLY = FuseArchiveSettings(source="s3://a", output="s3://b", prefix="{date:%Y}", days=2)


def refusal(kind: type[BaseModel], override: dict[str, Any] | None) -> str:
    parameter = Annotated[dict[str, Any] | None, OverrideOf(kind)]
    schema = create_model("Parameters", override=(parameter, None)).model_json_schema()
    errors = jsonschema.Draft202012Validator(schema).iter_errors({"override": override})
    error = best_match(errors)
    return "" if error is None else str(error.message)


def test_what_is_given_anew_replaces_and_the_rest_stays() -> None:
    changed = overridden(NIGHTLY, {"limit": 100, "prefix": "north/{date:%Y}"})
    expected = NIGHTLY.model_dump() | {"limit": 100, "prefix": "north/{date:%Y}"}
    assert changed.model_dump() == expected
    assert changed.model_fields_set == NIGHTLY.model_fields_set | {"limit"}


@pytest.mark.parametrize("nothing", [None, {}])
def test_without_an_override_settings_are_what_they_were(nothing: dict[str, Any] | None) -> None:
    assert overridden(NIGHTLY, nothing) is NIGHTLY


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ({"worker": "tpu"}, "worker: Value error, found 'tpu'; expected auto"),
        ({"quality": 80}, "quality is 80 and format is png"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"source": "s3://user:planted@host/x"}, "the URL holds a user name and password"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(override: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said) as refused:
        overridden(NIGHTLY, override)
    assert "planted" not in str(refused.value)


def test_a_schema_holds_each_field_to_its_own_and_asks_for_none() -> None:
    assert refusal(FuseArchiveSettings, {}) == ""
    assert refusal(FuseArchiveSettings, None) == ""
    assert refusal(FuseArchiveSettings, {"limit": 100, "worker": "cpu:4"}) == ""
    assert refusal(FuseArchiveSettings, {"limit": 0}) == "0 is less than the minimum of 1"
    assert "'tpu' is not one of ['auto'" in refusal(FuseArchiveSettings, {"worker": "tpu"})
    assert "'limitt' is not one of ['source'" in refusal(FuseArchiveSettings, {"limitt": 1})
    password = refusal(FuseArchiveSettings, {"source": "s3://user:planted@host/x"})
    assert "a plain URL" in password
    assert "planted" not in password


def test_settings_within_settings_are_given_anew_whole() -> None:
    assert refusal(TrainSettings, {"loss": {"texture": 1.0}}) == ""
    assert refusal(TrainSettings, {"loss": 3}) == "3 is not of type 'object'"
    assert refusal(EvaluateSettings, {"models": {"mean": "mean"}}) == ""
