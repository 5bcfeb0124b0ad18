"""The settings that scenes add to those of photographs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from fusion_core.settings.run import PairSettings

ScalingName = Literal["percentiles", "range", "type"]
Resampling = Literal["nearest", "bilinear", "cubic"]
Compression = Literal["deflate", "zstd", "lzw", "none"]


class SceneSettings(PairSettings):
    """The settings that decide the pixels and bytes of a fused scene, given pair and model."""

    scaling: ScalingName = Field(
        "percentiles",
        description="What a scene's values become for the model, once for the whole scene: "
        "percentiles of a decimated read, a fixed range, or the data type's range. Scenes of "
        "8 bits take their type's range unless a range is fixed.",
    )
    percentiles: tuple[float, float] = Field(
        (0.5, 99.5), description="Percentiles that become black and white, of 0 to 100."
    )
    ir_range: tuple[float, float] | None = Field(
        None, description="Infrared values that become black and white, for scaling range."
    )
    vi_range: tuple[float, float] | None = Field(
        None, description="Visible values that become black and white, for scaling range."
    )
    nodata: float | Literal["none"] | None = Field(
        None,
        description="Value that means no data in scenes which declare none, such as 0 around a "
        "Landsat scene. The fused scene declares it. Default: searched for around both images; "
        "none: every pixel holds data.",
    )
    resampling: Resampling = Field(
        "bilinear", description="How the infrared scene is brought to the visible one's grid."
    )
    compression: Compression = Field("deflate", description="Lossless compression of fused scenes.")
    tile_size: int = Field(
        768,
        ge=128,
        le=8192,
        multiple_of=16,
        description="Scenes are fused in tiles of at most this many pixels a side. RefineFuse "
        "takes about 1.4 GB for 768 in fp32, 0.8 GB in bf16.",
    )

    @property
    def nodata_value(self) -> float | None:
        """The value that ``nodata`` is, if it is one."""
        return None if self.nodata == "none" else self.nodata

    @model_validator(mode="after")
    def _ranges_fit(self) -> Self:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise ValueError(
                f"percentiles are {low:g} and {high:g}; expected two of 0 to 100, the lower first"
            )
        for name in ("ir_range", "vi_range"):
            found = getattr(self, name)
            if self.scaling == "range" and found is None:
                raise ValueError(f"scaling is range and {name} isn't set; expected both ranges")
            if found is not None and not found[0] < found[1]:
                raise ValueError(f"{name} is {found}; expected two numbers, the lower first")
        return self
