"""The settings that say whether pairs are checked for misalignment, and whether aligned."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

Registration = Literal["off", "check", "translation", "affine", "homography"]
_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(?::path)?\}")
_ALIGNING = ("translation", "affine", "homography")


class RegistrationSettings(BaseModel):
    """The settings of registration: what is estimated, and what becomes of it."""

    registration: Registration = Field(
        "check",
        description="check: estimate by how much the infrared image is off the visible one, and "
        "say so in its row; off: don't. translation, affine or homography: also align infrared "
        "photographs that are off, by such a transform, before fusing; where the estimate isn't "
        "sure, a pair stays as it is. Scenes are placed by their georeference, and checked.",
    )
    registration_limit: float | None = Field(
        None,
        gt=0,
        description="Pixels that an aligned pair may be off, as the root mean square over the "
        "image; more gets a remark or is aligned. Default: 0.8 percent of the longer side, and at "
        "least 3.",
    )
    registration_by: str | None = Field(
        None,
        description="Where cameras never move: text with fields of the infrared template, such as "
        "'{camera}'. The transform is estimated once over many pairs with the same text and used "
        "for all of them, also by later runs.",
    )
    misaligned: Literal["remark", "fail"] = Field(
        "remark",
        description="What becomes of a pair that is off by more than the limit and isn't aligned: "
        "its row gets a remark, or it fails.",
    )

    @model_validator(mode="after")
    def _by_says_how(self) -> Self:
        if self.registration_by is not None and not self.aligns:
            raise ValueError(
                f"registration_by is {self.registration_by!r} and registration is "
                f"{self.registration!r}, which aligns nothing; expected translation, affine or "
                "homography. Set registration, or leave registration_by out"
            )
        return self

    @property
    def aligns(self) -> bool:
        """Whether infrared images that are off are moved before fusing."""
        return self.registration in _ALIGNING


def check_camera_fields(by: str | None, ir: str, index: str | None) -> None:
    """Check that the names of cameras can be made of the infrared images' paths.

    Args:
        by: ``registration_by``.
        ir: Template of the infrared images' paths.
        index: What is used instead of it, if anything.

    Raises:
        ValueError: They can't be.
    """
    if by is None:
        return
    wanted, known = set(_FIELD.findall(by)), set(_FIELD.findall(ir))
    if index is not None:
        raise ValueError(
            f"registration_by is {by!r} and pairs come from an index, which has no fields; "
            "expected templates. Leave index or registration_by out"
        )
    if not wanted or wanted - known:
        found = f"the fields {sorted(wanted - known)}" if wanted else "no field"
        raise ValueError(
            f"registration_by is {by!r}, with {found}; expected fields of the infrared template "
            f"{ir!r}, which has {sorted(known)}. Correct one of the two"
        )
