"""What a row says to whoever reads its fused image."""

from __future__ import annotations

from typing import Literal

from fusion_core.settings.fuse import ImageSettings

Kind = Literal["photographs", "a scene"]

_NEEDLESS: dict[Kind, tuple[str, ...]] = {
    "photographs": ("resampling", "compression"),
    "a scene": ("format", "quality", "png_level"),
}


def unused_settings(settings: ImageSettings, kind: Kind) -> str | None:
    """Name the settings that were set and say nothing of such a pair; None where all do."""
    names = [
        name
        for name in _NEEDLESS[kind]
        if getattr(settings, name) != ImageSettings.model_fields[name].default
        and not (name == "compression" and settings.format == "tiff")
    ]
    if not names:
        return None
    others = "scenes" if kind == "photographs" else "photographs"
    return f"the pair is {kind}, and {' and '.join(names)} of {others} had no part in it"


def join_remarks(*remarks: str | None) -> str | None:
    """Join remarks to one; None where there is none."""
    return "; ".join(remark for remark in remarks if remark) or None
