"""What a training says of itself as it goes on: records, which are stored as JSON, and events."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from fusion_core.metrics.conventions import METRIC_NAMES


class ValidationScores(BaseModel):
    """How well the averaged weights do on the pairs that are kept apart.

    Each metric is its mean over the whole images for which it is defined, None where there are
    none.

    Attributes:
        loss: Loss of the centre crops.
        terms: The terms of that loss, by name.
    """

    model_config = ConfigDict(frozen=True)

    loss: float
    terms: dict[str, float]
    vif: float | None
    ag: float | None
    scd: float | None
    qabf: float | None
    sf: float | None
    en: float | None
    ssim: float | None

    @property
    def metrics(self) -> dict[str, float | None]:
        """The metrics by name, in the order of the published tables."""
        return {name: getattr(self, name) for name in METRIC_NAMES}


class LeftOut(BaseModel):
    """A pair that a training does without, since its files can't be used.

    Attributes:
        pair_id: The pair.
        reason: What was found, what was expected, what to do.
    """

    model_config = ConfigDict(frozen=True)

    pair_id: str
    reason: str


class TrainingRecord(BaseModel):
    """The steps of a training from one checkpoint or validation to the next.

    Logs, checkpoints and the headers of weights hold its fields under these names.

    Attributes:
        step: Steps taken since the training began.
        loss: Mean training loss of these steps.
        terms: The terms of that loss, by name.
        learning_rate: Learning rate of the step that comes next.
        steps_per_second: Speed of these steps.
        seconds: Time of all steps since the training began, without interruptions.
        validation: Scores after these steps, where it was time to validate.
    """

    model_config = ConfigDict(frozen=True)

    step: int
    loss: float
    terms: dict[str, float]
    learning_rate: float
    steps_per_second: float
    seconds: float
    validation: ValidationScores | None


@dataclass(frozen=True)
class ProgressEvent:
    """How far a training is, as a worker tells whoever waits for it.

    Attributes:
        step: Steps taken.
        steps: Steps of the whole training.
        record: The record that has just been made, if one has.
        left_out: Corrupt pairs that have just been found.
    """

    step: int
    steps: int
    record: TrainingRecord | None = None
    left_out: tuple[LeftOut, ...] = ()
