"""The paper's ablations as presets: what each variant of a study changes in a training.

Tables 8 (losses), 9 (levels) and 10 (blocks) of "RefineFuse" (Visual Intelligence, 2025), and the
choices that it leaves open in its loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.settings.secrets import refuse_secret
from fusion_core.training.loss_config import PAPER_LOSS
from fusion_core.training.settings import TrainSettings

STUDIES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "losses": {
        "full": {},
        "paper": {"loss": PAPER_LOSS},
        "A": {"loss": {**PAPER_LOSS, "intensity": "mean"}},
        "B": {"loss": {**PAPER_LOSS, "intensity": "max"}},
        "C": {"loss": {**PAPER_LOSS, "texture_weight": 0.0}},
    },
    "levels": {f"levels-{levels}": {"network": {"levels": levels}} for levels in range(1, 6)},
    "blocks": {
        "full": {},
        "no-sfim": {"network": {"sfim": False}},
        "no-psim": {"network": {"psim": False}},
        "no-fim": {"network": {"fim": False}},
    },
    "choices": {
        "full": {},
        "neighbourhood-11": {"loss": {"neighbourhood": 11}},
        "neighbourhood-61": {"loss": {"neighbourhood": 61}},
        "contrast-low": {"loss": {"contrast_threshold": 0.0003}},
        "contrast-high": {"loss": {"contrast_threshold": 0.004}},
        "salient-more": {"loss": {"saliency_deviations": 0.6, "saliency_floor": 0.4}},
        "salient-less": {"loss": {"saliency_deviations": 1.8, "saliency_floor": 0.7}},
        "salient-none": {"loss": {"saliency_floor": 1.0}},
        "lambda-texture": {"loss": PAPER_LOSS},
        "lambda-intensity": {"loss": {**PAPER_LOSS, "intensity_weight": 5, "texture_weight": 1}},
    },
}
"""The variants of each study, and the values of loss or network that each changes.

A, B and C are the paper's, so each changes one thing of the paper's loss, as do the two places of
its lambda; the full one is ours.
"""

EVALUATION_FOLDER = "evaluation"


class EvaluatedPairs(BaseModel):
    """Where the pairs lie that the variants are compared on."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    source: str = Field(description="Folder or bucket of the pairs to compare on: an fsspec URL.")
    ir: str = Field("ir/{pair}.png", description="Template of their infrared images' paths.")
    vi: str = Field("vi/{pair}.png", description="Template of their visible images' paths.")
    index: str | None = Field(None, description="Index of these pairs instead of the templates.")
    published: str | None = Field(
        None, description="Image set whose published means are shown below the variants'."
    )

    @field_validator("source", "index")
    @classmethod
    def _no_secret_in_url(cls, url: str | None) -> str | None:
        return url if url is None else refuse_secret(url)


class AblateSettings(TrainSettings):
    """The settings of an ablation: those of a training, the study, and the pairs to compare on."""

    study: Literal["losses", "levels", "blocks", "choices"] = Field(
        description="losses: the full loss, the paper's, and of that A (mean intensity), B "
        "(maximum intensity) and C (no texture); levels: 1 to 5; blocks: all, and without SFIM, "
        "PSIM or FIM; choices: the masks' limits and the place of lambda, which the paper leaves "
        "open."
    )
    evaluation: EvaluatedPairs = Field(description="The pairs that the variants are compared on.")
    output: str = Field(
        description="Folder or bucket of this study: any fsspec URL. Each variant is trained in "
        "a folder of its name; the comparison goes to 'evaluation'.",
    )

    @model_validator(mode="after")
    def _variants_can_be_made(self) -> Self:
        self.variants()
        self.evaluating()
        return self

    def variants(self) -> dict[str, TrainSettings]:
        """Return the training of each variant, by its name."""
        given = {name: getattr(self, name) for name in TrainSettings.model_fields}
        return {
            name: TrainSettings(
                **{**given, **self._changed(changes), "output": self.folder_url(name)}
            )
            for name, changes in STUDIES[self.study].items()
        }

    def _changed(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        return {part: getattr(self, part).model_dump() | values for part, values in changes.items()}

    def evaluating(self) -> EvaluateSettings:
        """Return the evaluation of all variants together."""
        models = {
            name: f"{one.output}/weights.safetensors" for name, one in self.variants().items()
        }
        run = ("worker", "ray_address", "io_threads", "max_megapixels")
        shared = (*run, "credentials_block", "requester_pays")
        return EvaluateSettings(
            **self.evaluation.model_dump(),
            **{name: getattr(self, name) for name in (*shared, "size_mismatch", "precision")},
            output=self.folder_url(EVALUATION_FOLDER),
            models=models,
        )

    def folder_url(self, folder: str) -> str:
        """Return the URL of a folder below the output."""
        return f"{self.output.rstrip('/')}/{folder}"
