"""How a fuser computes: what tells two images of one model and one pair from each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fusion_core.models.names import EngineName

if TYPE_CHECKING:  # for a path needs no torch
    from fusion_core.models.device import ResolvedPrecision
    from fusion_core.models.fuser import Fuser

DeviceKind = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Arithmetic:
    """The arithmetic of a run, which is settled once and the same for all of its workers.

    Attributes:
        device: Kind of device.
        precision: Precision of the model's body.
        engine: What computes it.
    """

    device: DeviceKind
    precision: ResolvedPrecision
    engine: EngineName = "eager"

    @property
    def key(self) -> str:
        """The arithmetic in a word, such as ``cpu-bf16-eager``."""
        return f"{self.device}-{self.precision}-{self.engine}"


def arithmetic_of(fuser: Fuser) -> Arithmetic:
    """Return the arithmetic that a fuser computes with."""
    kind: DeviceKind = "cuda" if fuser.device.startswith("cuda") else "cpu"
    return Arithmetic(kind, fuser.precision, fuser.engine)
