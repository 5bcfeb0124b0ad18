"""What becomes of a setting that is changed from its default, and how a row says that it didn't."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

How = Literal["image", "fate", "end", "remark", "refused"]


@dataclass(frozen=True)
class Act:
    """What becomes of a setting that is changed from its default.

    Attributes:
        value: What it is changed to.
        how: It changes the image's bytes, makes a pair that fails one that doesn't, makes one fail
            that doesn't, is named by the row's remark and changes no byte, or is refused.
        pair: Which pair shows that, of those that ``put`` makes.
        beside: Settings that both runs have.
        in_tiles: Whether memory holds photographs in tiles alone.
    """

    value: Any
    how: How = "image"
    pair: str = "plain"
    beside: Mapping[str, Any] = field(default_factory=dict)
    in_tiles: bool = False


JPEG, WEBP, TIFF = ({"format": kind} for kind in ("jpeg", "webp", "tiff"))
FFV1 = {"video_codec": "ffv1"}
NO_QUALITY = [Act(50, "refused", beside=kind) for kind in ({}, TIFF)]
NO_PNG_LEVEL = [Act(9, "refused", beside=kind) for kind in (JPEG, WEBP, TIFF)]
NO_VIDEO_QUALITY = Act(30, "refused", beside=FFV1)


def says_unused(row: Mapping[str, Any], name: str) -> bool:
    remarks = (row["remark"] or "").split("; ")
    return any(f" {name} " in one and one.endswith("had no part in it") for one in remarks)
