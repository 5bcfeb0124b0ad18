"""The settings of an evaluation: which models are compared, and with which published rows."""

from __future__ import annotations

from pydantic import Field, field_validator

from fusion_core.jobs.fused_settings import check_method_name
from fusion_core.models.names import BASELINE_NAMES, MINI_NAME, PACKAGED_NAME
from fusion_core.reports.published import published_sets
from fusion_core.settings.fuse import EngineSettings, FuseArchiveSettings, ImageSettings
from fusion_core.settings.run import RunSettings
from fusion_core.settings.secrets import NO_SECRET, NO_SECRETS, refuse_secret

_DEFAULT_MODELS = {name: name for name in (PACKAGED_NAME, MINI_NAME, *BASELINE_NAMES)}


class EvaluateSettings(EngineSettings, RunSettings, ImageSettings):
    """Everything that an evaluate run can be told."""

    models: dict[str, str] = Field(
        _DEFAULT_MODELS,
        json_schema_extra=NO_SECRETS,
        description="The models to compare, NAME=MODEL, once per model; the name alone where both "
        "are the same. A model is named as for fuse-archive: packaged weights, mean, maximum, "
        "laplacian, guided, or the fsspec URL of a file. Default: refinefuse, refinefuse-mini and "
        "the four methods without a network.",
    )
    published: str | None = Field(
        None,
        description="Image set whose published means are shown below those of this run, unranked: "
        f"{', '.join(published_sets())}.",
    )
    output: str = Field(
        json_schema_extra=NO_SECRET,
        description="Folder or bucket for the fused images, the manifest and the comparison: any "
        "fsspec URL.",
    )
    limit: int | None = Field(
        None, ge=1, description="Fuse at most so many pairs with each model in this run."
    )
    max_failed: float = Field(
        0.1,
        ge=0,
        le=1,
        description="The run fails when more than this fraction of its images failed or is undone.",
    )
    contact_sheet: int = Field(
        4, ge=0, le=32, description="Pairs drawn on the contact sheet; 0 draws none."
    )

    @field_validator("models")
    @classmethod
    def _models_are_named(cls, models: dict[str, str]) -> dict[str, str]:
        if not models:
            raise ValueError("found no model; expected at least one, such as refinefuse")
        for name, model in models.items():
            check_method_name(name)
            refuse_secret(model)
        return models

    @field_validator("published")
    @classmethod
    def _is_published(cls, published: str | None) -> str | None:
        if published is not None and published not in published_sets():
            raise ValueError(
                f"found the image set {published!r}; expected one of {', '.join(published_sets())}"
            )
        return published

    def fusing(self, model: str) -> FuseArchiveSettings:
        """Return the settings by which fuse-archive does one model's share of the evaluation.

        A baseline computes in one way, so what is asked for is not its own.
        """
        shared = {*FuseArchiveSettings.model_fields} & {*EvaluateSettings.model_fields}
        values = {name: getattr(self, name) for name in shared} | {"model": model}
        if model in BASELINE_NAMES:
            values |= {"precision": "auto", "engine": "auto"}
        return FuseArchiveSettings(**values)
