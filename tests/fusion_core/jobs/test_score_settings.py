import json
from typing import Any

import pytest
from pydantic import ValidationError

from fusion_core.jobs.fused_settings import FusedLocation
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.settings.run import RunSettings

FUSED = {"densefuse": "fused_densefuse/{pair}.png", "u2 fusion": "s3://other/u2/{pair}.png"}


def settings(**changed: Any) -> ScoreArchiveSettings:
    fields = {"source": "in", "output": "out", "fused": FUSED, **changed}
    return ScoreArchiveSettings.model_validate(fields)


def test_every_setting_has_a_description_of_its_own() -> None:
    properties = ScoreArchiveSettings.model_json_schema()["properties"]
    texts = [properties[name].get("description", "") for name in ScoreArchiveSettings.model_fields]
    assert all(len(text) > 20 and text.endswith(".") for text in texts)
    assert len(set(texts)) == len(texts)


def test_what_runs_have_alike_is_said_once() -> None:
    for kind in (FuseArchiveSettings, ScoreArchiveSettings):
        assert issubclass(kind, RunSettings)
        own = {*kind.__annotations__} & {*RunSettings.model_fields}
        assert own <= {"output", "limit"}  # which are told in other words


def test_settings_survive_json_as_the_form_sends_it() -> None:
    made = settings(date="2026-11-20", convention="textbook", limit=3)
    assert ScoreArchiveSettings.model_validate(json.loads(made.model_dump_json())) == made
    assert [*made.fused] == [*FUSED]


@pytest.mark.parametrize(
    ("fused", "message"),
    [
        ({}, "found no method; expected at least one"),
        ({"": "f/{pair}.png"}, "found the method name ''"),
        ({" a": "f/{pair}.png"}, "no blanks around it"),
        ({"a/b": "f/{pair}.png"}, "found the method name 'a/b'; expected .* no slash"),
        ({"a\nb": "f/{pair}.png"}, "line break"),
        ({"a": "f/{pair}/{n:frame}.png"}, r"of a has a frame; expected one of images"),
        ({"a": "f/{name}.png"}, r"of a has the fields \['name'\] and lacks \['pair'\]"),
        ({"a": "f/x.png"}, "has no field"),
        ({"a": "f/{pair.png"}, "brace"),
        ({"a": "s3://key:hunter2@b/{pair}.png"}, "user name and password"),
    ],
)
def test_methods_that_cannot_be_scored_are_refused(fused: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as refused:
        settings(fused=fused)
    assert [error["loc"] for error in refused.value.errors()] == [("fused",)]
    assert "hunter2" not in str(refused.value)


def test_fused_templates_hold_the_fields_of_the_sources_in_any_order() -> None:
    sources = {"ir": "{day}/{scene}_ir.png", "vi": "{day}/{scene}_vi.png"}
    made = settings(fused={"a": "f/{scene}/{day}.{digest}.png"}, **sources)
    assert made.pair_fields() == ("day", "scene")
    with pytest.raises(ValidationError, match=r"lacks \['day'\]"):
        settings(fused={"a": "f/{scene}.png"}, **sources)
    with pytest.raises(ValidationError, match="the templates have different fields"):
        settings(ir="ir/{x}.png")


def test_with_an_index_the_field_is_the_pair() -> None:
    made = settings(index="pairs.csv", ir="ir/{scene}.png", vi="vi/{scene}.png")
    assert made.pair_fields() == ("pair",)


@pytest.mark.parametrize(
    ("text", "url", "template"),
    [
        ("fused/{pair}.png", None, "fused/{pair}.png"),
        ("{pair}.png", None, "{pair}.png"),
        ("s3://b/f/{hash}/{pair}.{d}.png", "s3://b/f/", "{hash}/{pair}.{d}.png"),
        ("s3://b/pre-{x}/{pair}.png", "s3://b/", "pre-{x}/{pair}.png"),
        ("s3://b/*/{pair}.png", "s3://b/", "*/{pair}.png"),
        ("/data/fused/{pair}.png", "/data/fused/", "{pair}.png"),
        ("/{pair}.png", "/", "{pair}.png"),
        ("memory://{pair}.png", "memory://", "{pair}.png"),
    ],
)
def test_a_url_is_split_before_its_first_folder_with_a_field(
    text: str, url: str | None, template: str
) -> None:
    assert FusedLocation.parse(text) == FusedLocation(url, template)


def test_the_hash_holds_what_decides_scores_and_nothing_else() -> None:
    hashes = [
        settings(**changed).settings_hash()
        for changed in ({}, {"convention": "textbook"}, {"size_mismatch": "resize_ir"})
    ]
    assert len(set(hashes)) == 3
    others: dict[str, Any] = {"limit": 1, "chunk_pairs": 5, "fused": {"x": "x/{pair}.png"}}
    assert settings(**others).settings_hash() == hashes[0]


def test_the_hash_follows_the_version_of_images(monkeypatch: pytest.MonkeyPatch) -> None:
    now, before = settings().settings_hash(), settings().hashes_before()
    monkeypatch.setattr("fusion_core.jobs.score_settings.IMAGE_VERSION", "next")
    assert settings().settings_hash() not in (now, *before)
    assert settings().hashes_before() == before


def test_the_hash_follows_the_version_of_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    before = settings().settings_hash()
    versions = {"published": "published-9"}
    monkeypatch.setattr("fusion_core.jobs.score_settings.METRIC_VERSIONS", versions)
    assert settings().metric_version == "published-9"
    assert settings().settings_hash() != before
