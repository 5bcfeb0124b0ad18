"""The settings that say what a night is expected to be, and what becomes of a run that isn't so."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from fusion_core.metrics import METRIC_NAMES


def parse_bounds(value: object) -> object:
    """Read bounds as people write them, ``0.4..``, ``..0.9`` or ``0.4..0.9``; pass others on.

    Raises:
        ValueError: It is a text, and no such one.
    """
    if not isinstance(value, str):
        return value
    low, dots, high = value.partition("..")
    try:
        if not dots:
            raise ValueError
        return tuple(float(end) if end.strip() else None for end in (low, high))
    except ValueError:
        raise ValueError(
            f"found the bounds {value!r}; expected LOW..HIGH, LOW.. or ..HIGH, such as 0.4..0.9"
        ) from None


def bounds_text(bounds: Bounds) -> str:
    """Return bounds as people write them."""
    return "..".join("" if end is None else f"{end:g}" for end in bounds)


Bounds = Annotated[
    tuple[float | None, float | None],
    BeforeValidator(parse_bounds, json_schema_input_type=tuple[float | None, float | None] | str),
]
"""The least and the greatest that is in order; None where there is no such end."""


class ExpectationSettings(BaseModel):
    """What a run is expected to find and to make, and whether it fails where that isn't so."""

    min_pairs: int | None = Field(
        None,
        ge=1,
        description="At least so many pairs are expected in what is looked at, whether they were "
        "done before or not. Default: none, an archive without files is in order.",
    )
    max_unpaired: float | None = Field(
        None,
        ge=0,
        le=1,
        description="At most this fraction of the files that match a template, or are named by the "
        "index, may be in no pair. Default: any, but where files are found and not one pair, that "
        "is unmet always.",
    )
    expect: dict[str, Bounds] = Field(
        default_factory=dict,
        description="Bounds on the means of metrics, by name: [least, greatest], either of which "
        "may be null, or a text such as 0.4..0.9, 0.4.. or ..0.9.",
    )
    max_drift: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="The mean of no metric may differ by more than this fraction from its usual "
        "one: the median of the last nights' means, by the same settings and model. Nights of "
        "fewer than 20 pairs are left out, and three are needed. Default: any change is in order.",
    )
    drift_nights: int = Field(
        7, ge=1, le=100, description="How many of the last nights say what is usual."
    )
    unmet: Literal["fail", "warn"] = Field(
        "fail",
        description="What becomes of a run that isn't as expected: it fails, before it begins to "
        "work where that shows by then; or it goes on and its summary warns.",
    )

    @field_validator("expect")
    @classmethod
    def _metrics_have_bounds(cls, expect: dict[str, Bounds]) -> dict[str, Bounds]:
        for name, (low, high) in expect.items():
            if name not in METRIC_NAMES:
                raise ValueError(
                    f"found the metric {name!r}; expected one of {', '.join(METRIC_NAMES)}"
                )
            ends = [end for end in (low, high) if end is not None]
            if not ends or not all(map(math.isfinite, ends)) or ends != sorted(ends):
                raise ValueError(
                    f"found the bounds [{low}, {high}] of {name}; expected a least and a greatest "
                    "mean, or one of them and null for the other"
                )
        return expect

    @model_validator(mode="after")
    def _nights_are_compared(self) -> Self:
        # Deployments hold all settings, with their defaults: one that is as it was isn't set.
        if self.max_drift is None and self.drift_nights != 7:
            raise ValueError(
                f"drift_nights is {self.drift_nights} and max_drift isn't set, so no nights are "
                "compared; expected both. Set max_drift, or leave drift_nights out"
            )
        return self
