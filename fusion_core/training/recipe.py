"""The recipe of a training, which decides its weights given the pairs, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from fusion_core.metrics.conventions import VIF_WINDOWS
from fusion_core.models.mini_config import MiniConfig
from fusion_core.models.network_config import NetworkConfig
from fusion_core.training.loss_config import LATER_TERMS, PAPER_LOSS, ROBUST_LOSS, LossConfig

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {"steps": 4000},
    "robust": {
        "steps": 4000,
        "black": 0.1,
        "network": {"stretch": 1.02},
        "loss": ROBUST_LOSS,
    },
    "paper": {
        "epochs": 300,
        "batch": 8,
        "crop": 256,
        "optimiser": "sgd",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup": 0,
        "weight_decay": 0.0,
        "average": 0.0,
        "clip": 0.0,
        "precision": "fp32",
        "loss": PAPER_LOSS,
    },
    "mini": {"steps": 12000, "learning_rate": 3e-3, "precision": "fp32", "mini": {}},
}
"""The fields that each preset sets; "default" leaves the rest as the fields' own defaults.

"mini" is how the packaged refinefuse-mini learnt from a teacher. "paper" is the recipe as
"RefineFuse" (Visual Intelligence, 2025) states it, and nothing where it is silent: no warm-up,
decay, averaging or clipping. It names no momentum; 0.9 is the customary one.
Over 200 steps of 4 crops of 96x96 with the default loss, its SGD came to a mean training loss of
1.91 and AdamW as in "default" to 1.39 (150 RoadScene pairs, one seed): hence the default.
"""

_LENGTHS = {"steps", "epochs"}


class Recipe(BaseModel):
    """How a network is trained; with the same pairs, the same weights come out on one machine."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    preset: Literal["default", "robust", "paper", "mini"] = Field(
        "default",
        description="Recipe that the fields below start from; what is given explicitly wins. "
        "robust: bright skies, black, contrast and dim infrared are asked for as well. "
        "paper: SGD at 1e-3, 300 epochs of 8 crops of 256x256, as published. mini: a "
        "RefineFuse-mini, to be trained with a teacher.",
    )
    steps: int | None = Field(
        None, ge=1, description="Length in steps of one batch. Default: 4000, or the preset's."
    )
    epochs: float | None = Field(
        None, gt=0, description="Length in passes over all pairs, instead of steps."
    )
    batch: int = Field(4, ge=1, description="Crops in one step, over all workers together.")
    crop: int = Field(128, ge=8, description="Side of a crop in pixels.")
    black: float = Field(
        0.0, ge=0, le=1, description="Share of crops of which a part is made black in both images."
    )
    optimiser: Literal["adamw", "sgd"] = Field("adamw", description="sgd has a momentum of 0.9.")
    learning_rate: float = Field(1e-3, gt=0, description="Highest learning rate.")
    schedule: Literal["cosine", "constant"] = Field(
        "cosine", description="Learning rate after the warm-up: down to zero by a cosine, or held."
    )
    warmup: int = Field(100, ge=0, description="Steps in which the learning rate rises.")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay.")
    average: float = Field(
        0.998,
        ge=0,
        lt=1,
        description="Memory of the moving average of the weights, which is what is kept and "
        "validated: its part that stays from step to step. 0: no average.",
    )
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient. 0: no limit.")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto",
        description="Arithmetic of the network's body; weights, loss and optimiser are fp32. auto "
        "takes bf16 where the device has it.",
    )
    seed: int = Field(0, ge=0, description="Seed of the first weights and of every crop.")
    network: NetworkConfig = Field(NetworkConfig(), description="The network to train.")
    mini: MiniConfig | None = Field(
        None, description="Train a RefineFuse-mini of these widths, in place of `network`."
    )
    loss: LossConfig = Field(LossConfig(), description="What the fused image must look like.")

    @model_validator(mode="before")
    @classmethod
    def _start_from_preset(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        preset = dict(PRESETS.get(str(given.get("preset", "default")), {}))
        if any(given.get(name) is not None for name in _LENGTHS):
            preset = {name: value for name, value in preset.items() if name not in _LENGTHS}
        explicit = {
            name: value for name, value in given.items() if value is not None or name not in preset
        }
        for part in ("network", "loss"):
            if isinstance(explicit.get(part), Mapping):
                explicit[part] = {**preset.get(part, {}), **explicit[part]}
        return preset | explicit

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = write(self)
        if self.preset == "robust":
            values["network"]["stretch"] = (
                self.network.stretch
            )  # which a network leaves out where it is 1
        else:
            # Checkpoints of trainings without them have no such values, and are gone on from.
            values = _without(values, "black", 0.0)
            values["loss"] = {k: v for k, v in values["loss"].items() if k not in LATER_TERMS or v}
        return _without(values, "mini", None)

    @model_validator(mode="after")
    def _has_one_length(self) -> Recipe:
        if self.steps is not None and self.epochs is not None:
            raise ValueError(f"found steps {self.steps} and epochs {self.epochs:g}; give one")
        return self

    @model_validator(mode="after")
    def _crop_fits_the_loss(self) -> Recipe:
        if self.loss.fidelity_weight and self.crop < VIF_WINDOWS[0]:
            raise ValueError(
                f"found crop {self.crop}; the loss term with fidelity_weight needs crops of at "
                f"least {VIF_WINDOWS[0]}. Take larger ones or set fidelity_weight to 0"
            )
        return self

    def trained_network(self) -> NetworkConfig | MiniConfig:
        """Return the configuration of the network that is trained."""
        return self.mini or self.network

    def total_steps(self, pairs: int) -> int:
        """Return the number of steps of a training on so many pairs."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None  # a preset names one of the two
        return max(1, round(self.epochs * pairs / self.batch))


def _without(values: Mapping[str, Any], name: str, value: Any) -> dict[str, Any]:
    """Leave out a name where it has this value."""
    return {k: v for k, v in values.items() if (k, v) != (name, value)}
