"""Shows how far a training is: lines in a log, an artifact in Prefect's UI."""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.progress import Logger
from flows.summaries.listings import plain
from fusion_core.training import ProgressEvent, TrainingRecord

_SECONDS_BETWEEN_UPDATES = 2.0
_SECONDS_BETWEEN_LINES = 60.0


def shown(events: Iterable[ProgressEvent], logger: Logger) -> None:
    """Show the progress of a training as its events come.

    Args:
        events: What ``train`` yields.
        logger: Logger that gets a line for every record, and now and then one in between.
    """
    artifact = create_progress_artifact(0.0, "train-refinefuse-progress", "Steps of the training")
    assert isinstance(artifact, UUID)  # a coroutine only where an event loop runs
    updated = logged = began = time.monotonic()
    first: int | None = None
    for event in events:
        for pair in event.left_out:
            logger.warning("Pair %s is left out: %s", plain(pair.pair_id), plain(pair.reason))
        step, steps, now = event.step, event.steps, time.monotonic()
        if first is None:
            first, began = step, now  # the steps of before a restart took none of this run's time
        left = _remaining(steps - step, step - first, now - began)
        if event.record:
            logger.info("%s; %s", _line(event.record, steps), left)
            logged = now
        elif now - logged > _SECONDS_BETWEEN_LINES:
            logger.info("step %d of %d; %s", step, steps, left)
            logged = now
        if now - updated > _SECONDS_BETWEEN_UPDATES or step == steps:
            update_progress_artifact(artifact, 100.0 * step / steps)
            updated = now


def _line(record: TrainingRecord, steps: int) -> str:
    terms = ", ".join(f"{name} {value:.4f}" for name, value in record.terms.items())
    parts = [f"step {record.step} of {steps}: loss {record.loss:.4f} ({terms})"]
    if record.validation:
        parts.append(f"validation loss {record.validation.loss:.4f}")
        metrics = record.validation.metrics.items()
        parts += [f"{name} {value:.3f}" for name, value in metrics if value is not None]
    parts.append(f"{record.steps_per_second:.2f} steps/s")
    return ", ".join(parts)


def _remaining(steps: int, taken: int, seconds: float) -> str:
    if not steps:
        return "done"
    if not taken:
        return "remaining time not known yet"
    minutes = seconds / taken * steps / 60
    return f"about {minutes:.0f} min left" if minutes < 100 else f"about {minutes / 60:.1f} h left"
