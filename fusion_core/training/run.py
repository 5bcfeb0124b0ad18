"""Runs a training from its pairs to its weights, as each of its processes does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from fusion_core.archive.plan import PairRef
from fusion_core.errors import SettingsError
from fusion_core.models.fuser import load_fuser
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.weights_file import load_weights
from fusion_core.storage.source import open_source
from fusion_core.training.data import CropSource, LuminancePair, read_luminances
from fusion_core.training.distilling import TaughtCrops
from fusion_core.training.job import Reporter, TrainingJob, WorkerRank
from fusion_core.training.log import TrainingLog
from fusion_core.training.output import TrainingOutput
from fusion_core.training.record import ProgressEvent
from fusion_core.training.settings import VERSIONS, TrainSettings
from fusion_core.training.trainer import Trainer
from fusion_core.training.validation import Validator

_SECONDS_BETWEEN_EVENTS = 2.0


def run_training(job: TrainingJob, rank: WorkerRank, reporter: Reporter) -> None:
    """Train from the last checkpoint, or from the start, to the end.

    Args:
        job: The training.
        rank: What this process is in it.
        reporter: Hears how far the leading process is, and knows the storage options.

    Raises:
        FuseArchiveError: A pair can't be read, the checkpoint is damaged or of other settings, the
            store failed, or the loss is not finite.
    """
    settings, recipe = job.settings, job.settings.recipe()
    steps = recipe.total_steps(len(job.pairs))
    start = _first_weights(settings)
    trainer = Trainer(recipe, steps, device=rank.device, wrap=rank.wrap, start=start)
    output = TrainingOutput(job, rank, reporter.options)
    log = TrainingLog(output.resume(trainer))
    cut = _cutter(settings, rank.device)
    crops = cut(_luminances(job, job.pairs, reporter))
    validator = None
    if job.validation and rank.leads:
        images = list(_luminances(job, job.validation, reporter))
        validator = Validator(images, cut(images).centre_batch())
    if trainer.step == steps and rank.leads:
        # It was stopped after the last checkpoint and before the log.
        output.save(trainer, log.records)
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
            if rank.leads:
                if validate and validator:
                    record = log.add_validation(validator(trainer))
                if save:
                    output.save(trainer, log.records)
                reporter.report(ProgressEvent(step, steps, record))
            log.rest()
        elif rank.leads and time.monotonic() - reported > _SECONDS_BETWEEN_EVENTS:
            reporter.report(ProgressEvent(step, steps))
            reported = time.monotonic()


def _first_weights(settings: TrainSettings) -> FusionNetwork | None:
    if settings.start_from is None:
        return None
    model, info = load_weights(settings.start_from)
    wanted = settings.trained_network()
    if info.network != wanted:
        raise SettingsError(
            f"the weights {settings.start_from} are of a network with "
            f"{info.network.model_dump()}, and the one to train has {wanted.model_dump()}; set "
            f"{'mini' if settings.mini else 'network'} to theirs"
        )
    return model


def _cutter(
    settings: TrainSettings, device: str
) -> Callable[[Iterable[LuminancePair]], CropSource | TaughtCrops]:
    """Return what makes a source of crops of pairs, with a teacher's images where there is one."""
    recipe = settings.recipe()
    if settings.teacher is None:
        return partial(CropSource, size=recipe.crop, loss=recipe.loss)
    return partial(
        TaughtCrops,
        size=recipe.crop,
        teacher=load_fuser(settings.teacher, device),
        versions=settings.versions or VERSIONS,
        seed=recipe.seed,
    )


def _luminances(
    job: TrainingJob, pairs: Iterable[PairRef], reporter: Reporter
) -> Iterator[LuminancePair]:
    """Read infrared and visible luminance of each pair, some pairs at a time."""
    settings = job.settings
    source = open_source(settings, reporter.options)
    with ThreadPoolExecutor(settings.io_threads) as readers:
        yield from readers.map(
            lambda pair: read_luminances(pair, source, settings, settings.max_megapixels), pairs
        )
