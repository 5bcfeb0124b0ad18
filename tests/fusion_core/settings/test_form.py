import re
from typing import Any

import jsonschema
import pytest
from jsonschema.exceptions import best_match
from pydantic import BaseModel

from fusion_core.jobs import EvaluateSettings, ScoreArchiveSettings
from fusion_core.settings import FuseArchiveSettings, grouped
from fusion_core.training import AblateSettings, TrainSettings

KINDS = [FuseArchiveSettings, ScoreArchiveSettings, EvaluateSettings, TrainSettings, AblateSettings]
PLACES: dict[str, Any] = {"source": "s3://a", "output": "s3://b"}


def refusal(kind: type[BaseModel], values: dict[str, Any]) -> str:
    """Return what a validator says that knows the JSON schema alone, as Prefect's does."""
    validator = jsonschema.Draft202012Validator(kind.model_json_schema())
    error = best_match(validator.iter_errors(values))
    return "" if error is None else str(error.message)


@pytest.mark.parametrize("kind", KINDS)
def test_positions_and_titles_follow_the_groups_whatever_becomes_of_the_keys_order(
    kind: type[BaseModel],
) -> None:
    properties = kind.model_json_schema()["properties"]
    by_name = dict(sorted(properties.items()))
    shown = sorted(by_name, key=lambda name: by_name[name]["position"])
    assert shown == [name for _, names in grouped(kind) for name in names]
    assert shown == [*properties]
    for group, names in grouped(kind):
        assert all(properties[name]["title"].startswith(f"{group.name} · ") for name in names)
    titles = [one["title"] for one in properties.values()]
    assert len({*titles}) == len(titles)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"worker": "tpu"}, "'tpu' is not one of ['auto', 'gpu', 'gpu:0.5', 'cpu', 'cpu:4']"),
        ({"worker": "cpu:4\n5"}, "is not one of ['auto', 'gpu', 'gpu:0.5', 'cpu', 'cpu:4']"),
        ({"limit": 0}, "0 is less than the minimum of 1"),
        ({"limit": "many"}, "'many' is not one of ['a whole number', 'nothing']"),
        ({"nodata": "zero"}, "'zero' is not one of ['a number', 'none', 'nothing']"),
        ({"ir_range": 7}, "7 is not one of ['two numbers', 'nothing']"),
        ({"reprocess": "some"}, "'some' is not one of ['none', 'failed', 'older', 'all']"),
        ({"tile_size": 700}, "700 is not a multiple of 16"),
        ({"date": 5}, "5 is not one of ['a date such as 2026-11-29', 'nothing']"),
    ],
)
def test_a_wrong_value_is_refused_in_words_without_a_pattern(
    wrong: dict[str, Any], said: str
) -> None:
    found = refusal(FuseArchiveSettings, PLACES | wrong)
    assert said in found
    assert not re.search(r"[\^$\\|]|\[0-9\]|schema", found.replace("\\n", ""))


def test_a_choice_of_types_is_named_in_words() -> None:
    properties = FuseArchiveSettings.model_json_schema()["properties"]
    named = {
        name: [one["title"] for one in properties[name].get("anyOf", ())] for name in properties
    }
    assert named["limit"] == ["whole number", "nothing"]
    assert named["date"] == ["date", "nothing"]
    assert named["nodata"] == ["number", "none", "nothing"]
    assert named["ir_range"] == ["two numbers", "nothing"]
    assert named["index"] == ["text", "nothing"]


@pytest.mark.parametrize("worker", ["auto", "gpu", "gpu:0.5", "gpu:.25", "gpu:1", "cpu", "cpu:16"])
def test_every_way_to_say_what_a_worker_takes_is_taken(worker: str) -> None:
    assert refusal(FuseArchiveSettings, PLACES | {"worker": worker}) == ""
    assert FuseArchiveSettings(**PLACES, worker=worker).worker == worker


def test_a_worker_that_is_none_is_refused_in_words() -> None:
    said = r"found 'tpu'; expected auto, gpu, gpu:0\.5, cpu or cpu:4"
    with pytest.raises(ValueError, match=said):
        FuseArchiveSettings(**PLACES, worker="tpu")
    with pytest.raises(ValueError, match=r"found 'gpu:0\.5'; expected auto, gpu, cpu or cpu:4"):
        TrainSettings(**PLACES, worker="gpu:0.5")


def test_a_password_is_refused_without_being_quoted_and_without_a_pattern() -> None:
    url = "s3://user:planted@host/bucket"
    for values in ({"source": url}, {"index": url}, {"model": url}):
        said = refusal(FuseArchiveSettings, PLACES | values)
        assert "a plain URL, without user name and password" in said
        assert "planted" not in said
        assert "arn" not in said


def test_a_password_in_a_setting_by_name_is_refused_too() -> None:
    url = "s3://user:planted@host/{pair}.png"
    assert "a plain URL" in refusal(ScoreArchiveSettings, PLACES | {"fused": {"m": url}})
    assert "a plain URL" in refusal(EvaluateSettings, PLACES | {"models": {"m": url}})
