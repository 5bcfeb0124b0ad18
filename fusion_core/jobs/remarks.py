"""What a row says to whoever reads its fused image."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from fusion_core.metrics.scaling import PERCENTILES
from fusion_core.settings.fuse import ImageSettings
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.settings.video import VideoSettings

Kind = Literal["photographs", "a scene", "a clip"]

_OF_PHOTOGRAPHS = ("format", "quality", "png_level")
_OF_CLIPS = tuple(VideoSettings.model_fields)

_NEEDLESS: dict[Kind, dict[str, tuple[str, ...]]] = {
    "photographs": {"scenes": ("resampling", "compression", "tile_size"), "clips": _OF_CLIPS},
    "a scene": {
        "photographs": (*_OF_PHOTOGRAPHS, "registration", "registration_by"),
        "clips": _OF_CLIPS,
    },
    "a clip": {
        "photographs": _OF_PHOTOGRAPHS,
        "scenes": ("resampling", "compression", "tile_size"),
        "sequences": ("frame_rate",),
    },
}
"""By kind of pair, the settings that have no part in it, by what they are of."""

_WAYS = {"range": "a fixed range", "type": "their type's range"}


def unused_settings(
    settings: ImageSettings, kind: Kind, *, tiled: bool = True, sequence: bool = False
) -> str | None:
    """Name the settings that were set and say nothing of such a pair; None where all do.

    Args:
        settings: The settings.
        kind: What the pair is.
        tiled: Whether it was fused in tiles.
        sequence: Whether a side of it is a sequence of images.
    """
    used = {"tile_size"} if tiled else set()
    if settings.format == "tiff" and kind == "photographs":
        used |= {"compression"}
    if sequence:
        used |= {"frame_rate"}
    if not settings.aligns:  # to check them, or not to, is for scenes too
        used |= {"registration"}
    fields = ImageSettings.model_fields
    told = []
    for others, names in _NEEDLESS[kind].items():
        unused = [
            name
            for name in names
            if name not in used and getattr(settings, name) != fields[name].default
        ]
        if unused:
            told.append(f"{_listed(unused)} of {others}")
    if not told:
        return None
    return f"the pair is {kind}, and {' and '.join(told)} had no part in it"


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
