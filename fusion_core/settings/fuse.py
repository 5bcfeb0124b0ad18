"""The settings of a fusing run: one frozen, validated object.

The flow's parameter form, the command line and the manifest's settings hash are all made from
``FuseArchiveSettings``; a setting exists in one place only.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from fusion_core.metrics import METRIC_VERSION
from fusion_core.settings.digest import settings_digest
from fusion_core.settings.registration import RegistrationSettings, check_camera_fields
from fusion_core.settings.run import RunSettings
from fusion_core.settings.scenes import SceneSettings
from fusion_core.settings.secrets import NO_SECRET, refuse_secret
from fusion_core.settings.video import VideoSettings

IMAGE_VERSION = 2
"""Raised whenever the same settings and model would give other pixels, so that resuming never
mixes two generations of images unseen: rows under ``hashes_before`` count as done, and are told of.
"""

_FIELDS_OF_1 = (
    *("size_mismatch", "scaling", "percentiles", "ir_range", "vi_range", "nodata", "resampling"),
    *("compression", "tile_size", "format", "quality", "png_level", "precision"),
)
"""The fields that decided an image of version 1, of software version 0.1.0."""

_WORDS_OF_1: dict[str, dict[Any, Any]] = {
    "scaling": {"auto": "percentiles"},
    "nodata": {"none": None},
}
"""By field, what version 1 called by another name."""

_ADDED_LATER: dict[str, tuple[Any, ...]] = {
    "registration": ("check", "off"),
    "registration_limit": (None,),
    "registration_by": (None,),
    "misaligned": ("remark", "fail"),
    **{name: (field.default,) for name, field in VideoSettings.model_fields.items()},
}
"""The fields that came after ``IMAGE_VERSION`` 2, each with the values that make the images which
were made without it. It isn't hashed then, so that rows of before go on counting as done."""

_NEEDS_ALIGNING = ("registration_limit",)

ImageFormat = Literal["png", "jpeg", "webp", "tiff"]
_FORMATS_WITH: dict[str, tuple[ImageFormat, ...]] = {
    "quality": ("jpeg", "webp"),
    "png_level": ("png",),
}
"""The formats that a setting says something of."""

Precision = Literal["auto", "fp32", "bf16", "fp16"]
EngineChoice = Literal["auto", "eager", "openvino", "compiled", "onnxruntime"]


class ImageSettings(RegistrationSettings, SceneSettings, VideoSettings):
    """The settings that decide the pixels and bytes of a fused image, given pair and model."""

    format: ImageFormat = Field(
        "png",
        description="File format of the fused images; scenes are cloud-optimised GeoTIFFs always. "
        "png and tiff are lossless.",
    )
    quality: int = Field(95, ge=1, le=100, description="Quality of jpeg and webp files, 1 to 100.")
    png_level: int = Field(
        1,
        ge=0,
        le=9,
        description="Compression of png files: 0 is none, 1 encodes three times as fast as 6.",
    )
    precision: Precision = Field(
        "auto",
        description="Arithmetic of RefineFuse's body. auto takes bf16 where the device has it. "
        "mean, maximum, laplacian and guided are fp32, an ONNX file has its own.",
    )

    @model_validator(mode="after")
    def _format_has_them(self) -> Self:
        # Deployments hold all settings, with their defaults: one that is as it was isn't set.
        for name, formats in _FORMATS_WITH.items():
            value, default = getattr(self, name), ImageSettings.model_fields[name].default
            if value != default and self.format not in formats:
                raise ValueError(
                    f"{name} is {value} and format is {self.format}, which has none; expected "
                    f"format {' or '.join(formats)}. Leave {name} out"
                )
        return self

    def settings_hash(self) -> str:
        """Return 16 hex digits that change whenever other pixels, bytes or scores may result."""
        hashed = self.hashed_fields()
        values = {name: value for name, value in self.model_dump().items() if name in hashed}
        return settings_digest(values | {"image": IMAGE_VERSION, "metrics": METRIC_VERSION})

    def hashed_fields(self) -> set[str]:
        """Return the names of the settings that the hash is made of, beside the versions."""
        return set(ImageSettings.model_fields) - set(_ADDED_LATER) | self._set_later()

    def _set_later(self) -> set[str]:
        """Return the fields of ``_ADDED_LATER`` that change images as they are set."""
        return {
            name
            for name, without in _ADDED_LATER.items()
            if getattr(self, name) not in without and (self.aligns or name not in _NEEDS_ALIGNING)
        }

    def hashes_before(self) -> tuple[str, ...]:
        """Return the hashes that the same settings had under earlier image versions.

        What a version had no setting for is left out: its images were made without. Where it is
        set, there are none.
        """
        if self._set_later():
            return ()
        values = self.model_dump()
        known = {}
        for name in _FIELDS_OF_1:
            value, words = values[name], _WORDS_OF_1.get(name, {})
            known[name] = words.get(value, value) if isinstance(value, str) else value
        return (settings_digest(known | {"image": 1, "metrics": METRIC_VERSION}),)


class EngineSettings(BaseModel):
    """What computes the models of a run; no part of the settings hash, since rows name it."""

    engine: EngineChoice = Field(
        "auto",
        description="What computes the model. auto: openvino on CPUs where fuse-archive[cpu] is "
        "installed, else eager, that is torch as it is. compiled: torch compiled for the first few "
        "sizes, for GPUs. ONNX files take openvino or onnxruntime.",
    )


class FuseArchiveSettings(EngineSettings, RunSettings, ImageSettings):
    """All settings of a fuse-archive run."""

    dry_run: bool = Field(
        False, description="Only print what would be done, how many bytes, and about how long."
    )
    model: str = Field(
        "refinefuse",
        json_schema_extra=NO_SECRET,
        description="What fuses: packaged weights (refinefuse; refinefuse-open, for every use; "
        "refinefuse-mini, small; refinefuse-1, those of before), mean, maximum, laplacian, guided, "
        "or the fsspec URL of a file: weights of ours as safetensors, or any network as ONNX (read "
        "by the usual AWS chain).",
    )
    model_sha256: str | None = Field(
        None,
        description="Expected sha256 of the model's file; another one stops the run. That of "
        "weights that a packaged name stood for before has these fuse.",
    )
    pairs: tuple[str, ...] = Field(
        (), description="Only these pairs, by their ids; all others are left alone. Default: all."
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="At most so many pairs of equal shape in one batch. Default: 8 on a GPU, 1 on "
        "a CPU.",
    )
    stac: Literal["none", "items", "catalog", "collection"] = Field(
        "items",
        description="What STAC metadata tells of fused scenes: nothing, an item beside each, or "
        "also a catalog.json or collection.json at the output's root.",
    )
    contact_sheet: int = Field(
        8, ge=0, le=64, description="Pairs drawn on the run's contact sheet; 0 draws none."
    )

    @field_validator("model")
    @classmethod
    def _no_secret_in_model(cls, url: str) -> str:
        return refuse_secret(url)

    @model_validator(mode="after")
    def _cameras_have_names(self) -> Self:
        check_camera_fields(self.registration_by, self.ir, self.index)
        return self

    def image_settings(self) -> ImageSettings:
        """Return the part that decides the fused images, which is also what is hashed."""
        return ImageSettings(**{name: getattr(self, name) for name in ImageSettings.model_fields})
