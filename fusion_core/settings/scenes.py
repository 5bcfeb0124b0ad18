"""The settings that scenes add to those of photographs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fusion_core.settings.scaling import ScalingSettings

Resampling = Literal["nearest", "bilinear", "cubic"]
Compression = Literal["deflate", "zstd", "lzw", "none"]


class SceneSettings(ScalingSettings):
    """The settings that decide the pixels and bytes of a fused scene, given pair and model."""

    resampling: Resampling = Field(
        "bilinear",
        description="How the infrared scene is brought to the visible one's grid; photographs are "
        "resized bicubic.",
    )
    compression: Compression = Field(
        "deflate", description="Lossless compression of fused scenes, and of images in tiff."
    )
    tile_size: int = Field(
        768,
        ge=128,
        le=8192,
        multiple_of=16,
        description="Scenes, and photographs that memory doesn't hold whole, are fused in tiles of "
        "at most this many pixels a side. RefineFuse takes about 1.4 GB for 768 in fp32, 0.8 GB in "
        "bf16.",
    )
