"""Records of trainings that never were, for tests of what is made of records."""

from __future__ import annotations

from typing import Any

from fusion_core.metrics import METRIC_NAMES
from fusion_core.training.record import TrainingRecord, ValidationScores


def scores(**changes: Any) -> ValidationScores:
    """Return a validation with a loss of 0.25 and metrics of 0.5; ``changes`` are other fields."""
    usual = {"loss": 0.25, "terms": {"texture": 0.25}, **dict.fromkeys(METRIC_NAMES, 0.5)}
    return ValidationScores(**{**usual, **changes})


def record(step: int, **changes: Any) -> TrainingRecord:
    """Return a record that was not validated; ``changes`` are other fields."""
    usual: dict[str, Any] = {"loss": 0.5, "terms": {"texture": 0.5}, "learning_rate": 1e-3}
    speed: dict[str, Any] = {"steps_per_second": 2.5, "seconds": step / 2.5, "validation": None}
    return TrainingRecord(**{"step": step, **usual, **speed, **changes})
