"""The configuration of RefineFuse networks, without the network itself."""

from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

_FP32 = 4  # bytes


class NetworkConfig(BaseModel):
    """The configuration of a RefineFuse; written into the header of its weights file.

    The switches are those of the paper's ablations: a block that is off is replaced by
    concatenation and a convolution.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: int = Field(
        default=4, ge=1, le=5, description="Scales, each half the size of the one before."
    )
    widths: tuple[int, ...] = Field(
        default=(64, 64, 64, 128, 128),
        description="Channels of each level, finest first; entries beyond `levels` are unused.",
    )
    decoder_width: int = Field(default=64, ge=1, description="Channels of the decoders.")
    token_grid: int = Field(
        default=24, ge=1, description="Attention sees at most this many tokens along each side."
    )
    sfim: bool = Field(default=True, description="Pixelwise interaction at levels 1 and 2.")
    psim: bool = Field(default=True, description="Attention between modalities from level 3 on.")
    fim: bool = Field(default=True, description="Weighted join of level 2 with the deeper levels.")
    stretch: float = Field(
        default=1.0,
        ge=1,
        lt=2,
        description="The tanh at the end is stretched by this factor and clipped: by 1, which is "
        "the paper's, it reaches black and white only at infinity.",
    )

    @model_validator(mode="after")
    def _check_widths(self) -> Self:
        if len(self.widths) < self.levels:
            raise ValueError(
                f"widths has {len(self.widths)} entries for {self.levels} levels; "
                "give one width for each level"
            )
        if min(self.widths) < 1:
            raise ValueError(f"widths are {self.widths}; each must be at least 1")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # Weights and checkpoints of networks without it have no such value, and stay what they are.
        values: dict[str, Any] = write(self)
        return {k: v for k, v in values.items() if (k, v) != ("stretch", 1.0)}

    @property
    def multiple(self) -> int:
        """Height and width must be multiples of this number of pixels."""
        return int(2 ** (self.levels - 1))

    @property
    def receptive_radius(self) -> int:
        """How many pixels around one its value depends on, apart from what is pooled.

        Measured on the packaged weights, of 4 levels: 32 pixels hold 99.9 % of the gradient in the
        mean, 99.8 % at least. What lies beyond, to 50 pixels at most, moved no pixel of a Landsat
        scene by a tenth of a grey level.
        """
        return max(8, 4 * self.multiple)

    def bytes_per_pixel(self, element: int) -> int:
        """Return the memory that a fusion takes at its peak for each pixel, in bytes.

        Features of all levels are held, and buffers to compute the finest ones. Measured on a CPU
        over widths and levels: 11.5 bytes for each in fp32 and 6 in bf16, to 13 % more. By default
        1773 and 870 bytes at 1440x1080, 1803 and 1090 at 864x864.

        Args:
            element: Size of a number of the network's body, in bytes.
        """
        widths = self.widths[: self.levels]
        features = sum(width / 4**level for level, width in enumerate(widths)) + self.decoder_width
        return int(60 + (11.5 if element == _FP32 else 6.0) * features)
