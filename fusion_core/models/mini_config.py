"""The configuration of RefineFuse-mini, without the network itself."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class MiniConfig(BaseModel):
    """The configuration of a RefineFuse-mini; written into the header of its weights file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["mini"] = Field("mini", description="Tells it from RefineFuse's configuration.")
    half: int = Field(32, ge=1, description="Channels at half the resolution.")
    quarter: int = Field(40, ge=1, description="Channels at a quarter of it.")
    eighth: int = Field(48, ge=1, description="Channels at an eighth.")
    filters: int = Field(8, ge=1, description="Filtered images that are weighted at each pixel.")
    hidden: int = Field(64, ge=1, description="Units between the scene's levels and what they set.")
