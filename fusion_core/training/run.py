"""A training from its pairs to its weights, as each of its processes runs it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from fusion_core.archive.plan import PairRef
from fusion_core.errors import SettingsError
from fusion_core.models.network import RefineFuse
from fusion_core.models.weights_file import load_weights, weights_body
from fusion_core.storage.store import Storage
from fusion_core.training.checkpoint import (
    Checkpoint,
    check_same,
    read_checkpoint,
    resume,
    write_checkpoint,
)
from fusion_core.training.curve import draw_curve
from fusion_core.training.data import CropSource, read_luminances
from fusion_core.training.log import (
    CHECKPOINT_FILE,
    CURVE_FILE,
    LOG_FILE,
    WEIGHTS_FILE,
    LogFile,
    TrainingLog,
    machine_facts,
    versions,
)
from fusion_core.training.record import ProgressEvent, TrainingRecord
from fusion_core.training.settings import TrainSettings
from fusion_core.training.trainer import Trainer
from fusion_core.training.validation import Validator

_SECONDS_BETWEEN_EVENTS = 2.0


@dataclass(frozen=True)
class TrainingJob:
    """A training that is decided on.

    Attributes:
        settings: What was asked for; source and output as full URLs or absolute paths.
        pairs: Pairs to train on, in their order.
        validation: Pairs kept apart.
        training: What decides the weights, as JSON values: recipe, pairs, first weights.
        began: When it was begun, ISO 8601.
    """

    settings: TrainSettings
    pairs: tuple[PairRef, ...]
    validation: tuple[PairRef, ...]
    training: Mapping[str, Any]
    began: str


@dataclass(frozen=True)
class WorkerRank:
    """What one process of a training is among the others.

    Attributes:
        device: Torch device.
        index: Its number; 0 validates, writes and reports.
        workers: Number of processes.
        wrap: Makes the module that averages gradients between the processes.
        mean: Averages a tensor over the processes; every one must call it at the same steps.
    """

    device: str = "cpu"
    index: int = 0
    workers: int = 1
    wrap: Callable[[nn.Module], nn.Module] = lambda module: module
    mean: Callable[[Tensor], Tensor] = lambda tensor: tensor


@dataclass(frozen=True)
class Reporter:
    """Tells whoever waits for the training how far it is.

    Attributes:
        options: Returns the storage options to use now.
        report: Takes the events of progress.
    """

    options: Callable[[], Mapping[str, Any]]
    report: Callable[[ProgressEvent], None]


def run_training(job: TrainingJob, rank: WorkerRank, reporter: Reporter) -> None:
    """Train from the last checkpoint, or from the start, to the end.

    Raises:
        FuseArchiveError: A pair can't be read, the checkpoint is damaged or of other settings, the
            store failed, or the loss is not finite.
    """
    settings, recipe = job.settings, job.settings.recipe()
    steps = recipe.total_steps(len(job.pairs))
    trainer = Trainer(recipe, steps, rank.device, rank.wrap, _first_weights(settings))
    log = TrainingLog(_resumed(job, trainer, reporter))
    crops = CropSource(_images(job, job.pairs, reporter), recipe.crop, recipe.loss)
    validator = None
    if job.validation and rank.index == 0:
        validator = Validator(list(_images(job, job.validation, reporter)), trainer)
    if trainer.step == steps and rank.index == 0:
        # It was stopped after the last checkpoint and before the log.
        _save(job, trainer, log, rank, reporter)
    log.rest()
    reported = time.monotonic()
    while trainer.step < steps:
        batch = crops.random_batch(recipe.batch, recipe.seed, trainer.step)
        log.add(trainer.advance(batch.part(rank.index, rank.workers)))
        step, last = trainer.step, trainer.step == steps
        validate = step % settings.validate_every == 0 or last
        save = step % settings.checkpoint_every == 0 or last
        if validate or save:
            record = log.record(trainer, rank.mean(log.means()))
            if rank.index == 0:
                if validate and validator:
                    record = log.add_validation(validator(trainer))
                if save:
                    _save(job, trainer, log, rank, reporter)
                reporter.report(ProgressEvent(step, steps, record))
            log.rest()
        elif rank.index == 0 and time.monotonic() - reported > _SECONDS_BETWEEN_EVENTS:
            reporter.report(ProgressEvent(step, steps))
            reported = time.monotonic()


def _first_weights(settings: TrainSettings) -> RefineFuse | None:
    if settings.start_from is None:
        return None
    model, info = load_weights(settings.start_from)
    if info.network != settings.network:
        raise SettingsError(
            f"the weights {settings.start_from} are of a network with "
            f"{info.network.model_dump()}, and the one to train has "
            f"{settings.network.model_dump()}; set network to theirs"
        )
    return model


def _resumed(job: TrainingJob, trainer: Trainer, reporter: Reporter) -> tuple[TrainingRecord, ...]:
    """Restore the last checkpoint, if there is one, and return its records."""
    output = Storage(job.settings.output, reporter.options())
    checkpoint = read_checkpoint(output, CHECKPOINT_FILE)
    if checkpoint is None:
        return ()
    url = output.url(CHECKPOINT_FILE)
    check_same(url, job.training, checkpoint.training)
    resume(trainer, checkpoint, url)
    return checkpoint.records


def _images(
    job: TrainingJob, pairs: Iterable[PairRef], reporter: Reporter
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    settings = job.settings
    source = Storage(settings.source, reporter.options())
    with ThreadPoolExecutor(settings.io_threads) as readers:
        yield from readers.map(
            lambda pair: read_luminances(pair, source, settings, settings.max_megapixels), pairs
        )


def _save(
    job: TrainingJob, trainer: Trainer, log: TrainingLog, rank: WorkerRank, reporter: Reporter
) -> None:
    """Write checkpoint, weights and curve, and the log last: what it says of them is there."""
    output = Storage(job.settings.output, reporter.options())
    file = LogFile(
        finished=trainer.step == trainer.steps,
        began=job.began,
        training=dict(job.training),
        settings=_how_it_was_run(job.settings),
        versions=versions(),
        machine=machine_facts(rank.device, rank.workers),
        records=tuple(log.records),
    )
    checkpoint = Checkpoint(trainer.step, job.training, file.records, trainer.state())
    write_checkpoint(output, CHECKPOINT_FILE, checkpoint)
    summary = {**job.training, "result": log.records[-1].model_dump()}
    output.write(WEIGHTS_FILE, weights_body(trainer.averaged(), summary))
    output.write(CURVE_FILE, draw_curve(log.records, f"RefineFuse, step {trainer.step}"))
    output.write(LOG_FILE, json.dumps(file.model_dump(), indent=1).encode())


def _how_it_was_run(settings: TrainSettings) -> dict[str, Any]:
    """The settings that say how it was run; those with paths stay out of the log."""
    names = ("workers", "worker", "checkpoint_every", "validate_every", "size_mismatch")
    return {name: getattr(settings, name) for name in names}
