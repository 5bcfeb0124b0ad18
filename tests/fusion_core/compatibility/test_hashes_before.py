"""Settings know, and models have, the hashes that version 0.1.0 told them by."""

import json
from typing import Any

import pytest
from version_before import DEFAULT_HASH, LAPLACIAN_HASH, LEFT

from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.models.fuser import read_model
from fusion_core.models.model_hash import model_hash_of, model_hashes_before
from fusion_core.settings.digest import settings_digest
from fusion_core.settings.fuse import FuseArchiveSettings, ImageSettings
from fusion_core.training.ablation import AblateSettings
from fusion_core.training.recipe import Recipe
from fusion_core.training.settings import TrainSettings

DEFAULTS: dict[str, dict[str, Any]] = json.loads((LEFT / "settings_0_1_0.json").read_text())
PACKAGED_HASH = "473a5eac11586f0451ca877138b578f0f031c4ecbdb30ba162e685ee849ad274"
SETTINGS = {
    "fuse": FuseArchiveSettings,
    "score": ScoreArchiveSettings,
    "evaluate": EvaluateSettings,
    "train": TrainSettings,
    "ablate": AblateSettings,
}


@pytest.mark.parametrize("name", [*SETTINGS])
def test_settings_as_deployments_hold_them_mean_the_same(name: str) -> None:
    held = DEFAULTS[name]
    made = SETTINGS[name].model_validate_json(json.dumps(held))
    kept = json.loads(made.model_dump_json())
    assert {key: kept[key] for key in held} == held


# By these, rows of image version 1 are found again, and count as done. A hash that changes makes
# every archive new: whoever makes other pixels raises IMAGE_VERSION, and adds to ``hashes_before``.
IMAGE_HASHES: list[tuple[dict[str, Any], str]] = [
    ({}, DEFAULT_HASH),
    ({"png_level": 9}, LAPLACIAN_HASH),
    ({"format": "webp"}, "057bad97edcb64ca"),
    ({"format": "jpeg", "quality": 80}, "6626a9d35a4460b7"),
    ({"size_mismatch": "resize_ir"}, "812e8f0fa7e21af2"),
    (
        {"scaling": "range", "ir_range": (200, 320), "vi_range": (0, 3000), "nodata": 0},
        "89ec388bb1a8d5f5",
    ),
    (
        {"precision": "fp32", "tile_size": 512, "compression": "zstd", "resampling": "cubic"},
        "bbf8a4c4a3c1b0be",
    ),
]


@pytest.mark.parametrize(("changes", "settings_hash"), IMAGE_HASHES)
def test_the_settings_of_images_know_the_hash_that_they_had(
    changes: dict[str, Any], settings_hash: str
) -> None:
    made = FuseArchiveSettings(**{**DEFAULTS["fuse"], **changes})
    evaluated = EvaluateSettings(**{**DEFAULTS["evaluate"], **changes}).fusing("refinefuse")
    for images in (
        ImageSettings(**changes),
        made.image_settings(),
        evaluated.image_settings(),
    ):
        assert images.hashes_before() == (settings_hash,)
        assert images.settings_hash() != settings_hash


@pytest.mark.filterwarnings("ignore:Pydantic serializer")  # of words that are none yet
def test_what_another_word_means_now_has_the_hash_of_the_word_before() -> None:
    """Whatever else a version adds to the settings: its images were made without."""
    made = ImageSettings()
    words = made.model_copy(update={"scaling": "auto", "nodata": "none"})
    assert words.hashes_before() == made.hashes_before() == (DEFAULT_HASH,)


def test_an_evaluation_takes_a_baseline_in_its_own_precision_as_before() -> None:
    settings = EvaluateSettings(**{**DEFAULTS["evaluate"], "precision": "fp32"})
    hashes = [
        settings.fusing(model).image_settings().hashes_before() for model in ("mean", "refinefuse")
    ]
    assert hashes == [(DEFAULT_HASH,), ("ec84ed33afea9f38",)]


@pytest.mark.parametrize(
    ("changes", "settings_hash"),
    [
        ({}, "4a6a6410f4550ca5"),
        ({"convention": "textbook"}, "c057ddc9e5bf85e7"),
        ({"size_mismatch": "resize_ir"}, "d47664229ae73e45"),
    ],
)
def test_the_settings_of_scores_know_the_hash_that_they_had(
    changes: dict[str, Any], settings_hash: str
) -> None:
    settings = ScoreArchiveSettings(**{**DEFAULTS["score"], **changes})
    assert settings.hashes_before() == (settings_hash,)
    assert settings.settings_hash() != settings_hash


@pytest.mark.parametrize(
    ("preset", "digest"), [("default", "c8cc89521bba8608"), ("paper", "4980a5ce6ee9b387")]
)
def test_a_recipe_is_told_by_the_values_that_it_was_told_by(preset: str, digest: str) -> None:
    """A checkpoint with other values than the training's is refused."""
    recipe = Recipe.model_validate({"preset": preset})
    assert settings_digest(recipe.model_dump(mode="json")) == digest


@pytest.mark.parametrize(
    ("model", "model_hash"),
    [
        ("refinefuse-1", PACKAGED_HASH),
        ("mean", "45c2e1600e6ad6c42162fadd1dbf72458a7d5093f1b39483b7a32b48cd6c0289"),
        ("maximum", "4e5caf7a017ca2997d195c36238670b84f25af043fefe371e7aac326bfa777ab"),
        ("laplacian", "1bf883645f5bd97d328405268be647841c9d3738f5e4420a80e7490d75067f47"),
        ("guided", "e9ef9b8a7857c49ad8fad053520d2d688014166a22637af5a19776f4b0f9ac47"),
    ],
)
def test_models_by_name_have_the_hash_that_they_had(model: str, model_hash: str) -> None:
    assert read_model(model).model_hash == model_hash


def test_the_weights_of_before_are_found_by_their_hash_and_count_as_those_of_the_name() -> None:
    """refinefuse stood for them, and deployments may ask for them by their hash."""
    for sha256 in (PACKAGED_HASH, PACKAGED_HASH.upper()):
        assert read_model("refinefuse", sha256).model_hash == PACKAGED_HASH
        assert model_hash_of("refinefuse", sha256) == PACKAGED_HASH
        assert model_hashes_before("refinefuse", sha256) == ()
    assert model_hash_of("refinefuse") != PACKAGED_HASH
    assert model_hashes_before("refinefuse") == (PACKAGED_HASH,)
    assert model_hashes_before("refinefuse-1") == model_hashes_before("mean") == ()
