"""What a row says to whoever reads its fused image."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from fusion_core.metrics.scaling import PERCENTILES
from fusion_core.settings.fuse import ImageSettings
from fusion_core.settings.scaling import ScalingSettings

Kind = Literal["photographs", "a scene"]

_NEEDLESS: dict[Kind, tuple[str, ...]] = {
    "photographs": ("resampling", "compression", "tile_size"),
    "a scene": ("format", "quality", "png_level", "registration", "registration_by"),
}

_WAYS = {"range": "a fixed range", "type": "their type's range"}


def unused_settings(settings: ImageSettings, kind: Kind, *, tiled: bool = True) -> str | None:
    """Name the settings that were set and say nothing of such a pair; None where all do.

    Args:
        settings: The settings.
        kind: What the pair is.
        tiled: Whether it was fused in tiles.
    """
    needless = {*_NEEDLESS[kind]}
    if not settings.aligns:  # to check them, or not to, is for scenes too
        needless -= {"registration"}
    if settings.format == "tiff":
        needless -= {"compression"}
    if tiled:
        needless -= {"tile_size"}
    fields = ImageSettings.model_fields
    names = [
        name
        for name in _NEEDLESS[kind]
        if name in needless and getattr(settings, name) != fields[name].default
    ]
    if not names:
        return None
    others = "scenes" if kind == "photographs" else "photographs"
    return f"the pair is {kind}, and {_listed(names)} of {others} had no part in it"


def unused_percentiles(settings: ScalingSettings, taken: Collection[str]) -> str | None:
    """Say that percentiles were set and neither image was scaled by any; None where one was.

    Args:
        settings: The settings.
        taken: The scalings that the two images got.
    """
    if settings.percentiles == PERCENTILES or "percentiles" in taken:
        return None
    ways = " and ".join(_WAYS[name] for name in sorted({*taken}))
    return f"the images were scaled by {ways}, and the percentiles had no part in it"


def join_remarks(*remarks: str | None) -> str | None:
    """Join remarks to one; None where there is none."""
    return "; ".join(remark for remark in remarks if remark) or None


def _listed(names: list[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])
