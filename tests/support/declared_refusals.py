"""Which cells of the table may end refused, and what the reason must name.

Whatever no rule names must be fused right. A refusal that no rule foresees is wrong, and so is a
rule that refuses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass

from declared import PLACED, TIFFS
from declared_table import Key


@dataclass(frozen=True)
class Refusal:
    """A rule that allows cells to be refused.

    Attributes:
        name: The property.
        says: What the reason must say, as a pattern, whatever its case.
        why: Why there is no right answer, or none yet.
        values: Beginnings of the values that it is about; all unless given.
        containers: The containers that it is about; all unless given.
        must: Whether these cells must be refused, and may not be fused.
        exact: Whether the values are given whole.
    """

    name: str
    says: str
    why: str
    values: tuple[str, ...] = ("",)
    containers: Container[str] | None = None
    must: bool = False
    exact: bool = False

    def covers(self, key: Key) -> bool:
        """Tell whether a cell is one that the rule is about."""
        return (
            key.name == self.name
            and (key.value in self.values if self.exact else key.value.startswith(self.values))
            and (self.containers is None or key.container in self.containers)
        )

    def matches(self, reason: str) -> bool:
        """Tell whether a reason names what it must."""
        return re.search(self.says, reason, re.IGNORECASE) is not None


_TURNED = tuple(f"{k}" for k in range(2, 9))
_FLAT = "a place on Earth and rows that lie otherwise than the place says contradict each other"

REFUSALS = (
    Refusal("orientation", "orientation", _FLAT, _TURNED, PLACED, must=True),
    Refusal("orientation of float32", "orientation", _FLAT, _TURNED, PLACED, must=True),
    Refusal(
        "polarity",
        "white",
        "floating point has no largest value to invert at",
        ("white is zero, float32",),
        must=True,
    ),
    Refusal(
        "polarity",
        r"\bbits?\b",
        "a raster of less than a byte a pixel is a mask",
        ("white is zero, 1 bit",),
        PLACED,
    ),
    Refusal(
        "palette",
        "palette",
        "indices with a place on Earth are classes and no colours",
        containers=PLACED,
        must=True,
    ),
    Refusal("CMYK", "CMYK", "inks with a place on Earth are no scene", containers=PLACED),
    Refusal("CMYK", "CMYK", "JPEG doesn't say what zero means", ("8 bits",), ("jpeg",)),
    Refusal("CIELab", "Lab", "Lab with a place on Earth is no scene", containers=PLACED),
    Refusal("CIELab", "Lab", "no reader at hand knows it", ("16 bits",), TIFFS),
    Refusal(
        "bits",
        r"\bbits?\b",
        "a raster of less than a byte a pixel is a mask",
        ("1", "2", "4"),
        PLACED,
        exact=True,
    ),
    Refusal(
        "compression",
        r"\bbits?\b",
        "a raster of less than a byte a pixel is a mask",
        ("CCITT",),
        PLACED,
    ),
    Refusal(
        "pages",
        "pages|animated|pictures",
        "nothing says which of several images is meant",
        ("second of full size",),
        ("png", "webp", *TIFFS),
        must=True,
    ),
)


def rule_of(key: Key) -> Refusal | None:
    """Return the rule that allows a cell to be refused; the first of several."""
    return next((rule for rule in REFUSALS if rule.covers(key)), None)
