import json
from typing import Any

import pytest
from pydantic import ValidationError

from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.settings.fuse import FuseArchiveSettings, ImageSettings
from fusion_core.settings.run import RunSettings


def settings(**changed: Any) -> EvaluateSettings:
    return EvaluateSettings.model_validate({"source": "in", "output": "out", **changed})


def test_every_setting_has_a_description_of_its_own() -> None:
    properties = EvaluateSettings.model_json_schema()["properties"]
    texts = [properties[name].get("description", "") for name in EvaluateSettings.model_fields]
    assert all(len(text) > 20 and text.endswith(".") for text in texts)
    assert len(set(texts)) == len(texts)


def test_what_it_shares_with_fusing_is_said_once() -> None:
    own = {*EvaluateSettings.__annotations__}
    assert own & {*ImageSettings.model_fields} == set()
    assert own & {*RunSettings.model_fields} == {"output", "limit", "max_failed"}


def test_by_default_the_packaged_weights_are_compared_with_all_baselines() -> None:
    assert list(settings().models.values()) == [
        *("refinefuse", "refinefuse-mini", "mean", "maximum", "laplacian", "guided"),
    ]


def test_settings_survive_json_as_the_form_sends_it() -> None:
    made = settings(models={"b": "x.safetensors", "a": "mean"}, published="mri-ct", limit=3)
    assert EvaluateSettings.model_validate(json.loads(made.model_dump_json())) == made
    assert [*made.models] == ["b", "a"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models": {}}, "found no model; expected at least one"),
        ({"models": {"a/b": "mean"}}, "found the method name 'a/b'; expected .* no slash"),
        ({"models": {"": "mean"}}, "found the method name ''"),
        ({"models": {"a": "s3://key:hunter2@b/w.safetensors"}}, "user name and password"),
        ({"published": "lena"}, "found the image set 'lena'; expected one of tno, msrs, m3fd"),
    ],
)
def test_what_cannot_be_compared_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        settings(**changed)
    assert [error["loc"] for error in refused.value.errors()] == [tuple(changed)]
    assert "hunter2" not in str(refused.value)


def test_a_model_is_fused_as_fuse_archive_would_fuse_it() -> None:
    asked = {"prefix": "north/", "format": "tiff", "size_mismatch": "resize_ir", "worker": "cpu:3"}
    own = settings(**asked, precision="bf16", credentials_block="b").fusing("x.safetensors")
    direct = FuseArchiveSettings(
        source="in",
        output="out",
        model="x.safetensors",
        precision="bf16",
        credentials_block="b",
        contact_sheet=4,
        **asked,  # type: ignore[arg-type]
    )
    assert own == direct


def test_a_baseline_keeps_its_own_precision() -> None:
    assert settings(precision="bf16").fusing("laplacian").precision == "auto"
