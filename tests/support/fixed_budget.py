"""A budget that doesn't hang on what the machine has just now."""

from dataclasses import dataclass

from fusion_core.models.memory_budget import MARGIN, MemoryBudget


@dataclass(frozen=True)
class FixedBudget(MemoryBudget):
    """A budget of so many bytes, with and without a GPU.

    Attributes:
        room: What this process may take, in bytes.
    """

    room: float = 0.0

    def free(self, device: str = "cpu") -> float:
        return self.room


def budget_for(needed: float, beside: float = 0.0) -> FixedBudget:
    """Return a budget that just holds so many bytes."""
    return FixedBudget(room=needed * (1 + MARGIN) + beside + 1)
