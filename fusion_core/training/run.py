"""Runs a training from its pairs to its weights, as each of its processes does."""

from __future__ import annotations

import time

from fusion_core.errors import SettingsError
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.weights_file import build_network, load_weights
from fusion_core.training.job import Reporter, TrainingJob, WorkerRank
from fusion_core.training.output import TrainingOutput
from fusion_core.training.record import ProgressEvent
from fusion_core.training.settings import TrainSettings
from fusion_core.training.sources import open_sources
from fusion_core.training.trainer import Trainer

_SECONDS_BETWEEN_EVENTS = 2.0


def run_training(job: TrainingJob, rank: WorkerRank, reporter: Reporter) -> None:
    """Train from the last checkpoint, or from the start, to the end.

    Args:
        job: The training.
        rank: What this process is in it.
        reporter: Hears how far the leading process is, and knows the storage options.

    Raises:
        FuseArchiveError: Pairs can't be read or too many are corrupt, the checkpoint is damaged or
            of other settings, another training took the output over, the store failed, or the loss
            is not finite.
    """
    settings, recipe = job.settings, job.settings.recipe()
    steps = recipe.total_steps(len(job.pairs))
    start = _first_weights(settings)
    trainer = Trainer(recipe, steps, device=rank.device, wrap=rank.wrap, start=start)
    output = TrainingOutput(job, rank, reporter.options)
    log = output.resume(trainer)
    with open_sources(job, rank, reporter.options) as sources:
        if trainer.step == steps and rank.leads:
            # It was stopped after the last checkpoint and before the log.
            output.save(trainer, log)
        log.rest()
        reported = time.monotonic()
        while trainer.step < steps:
            batch = sources.batch(trainer.step, steps)
            log.add(trainer.advance(batch.part(rank.index, rank.workers)))
            step, last = trainer.step, trainer.step == steps
            validate = step % settings.validate_every == 0 or last
            save = step % settings.checkpoint_every == 0 or last
            record = None
            if validate or save:
                record = log.record(trainer, rank.mean(log.means()))
                if validate and sources.validator:
                    record = log.add_validation(sources.validator(trainer))
            found = sources.newly_left_out()
            log.leave_out(found)
            if rank.leads:
                if save:
                    output.save(trainer, log)
                if record or found or time.monotonic() - reported > _SECONDS_BETWEEN_EVENTS:
                    reporter.report(ProgressEvent(step, steps, record, tuple(found)))
                    reported = time.monotonic()
            if record:
                log.rest()


def _first_weights(settings: TrainSettings) -> FusionNetwork | None:
    """Return the network to start from, with the stretch that the recipe has."""
    if settings.start_from is None:
        return None
    model, info = load_weights(settings.start_from)
    wanted = settings.trained_network()
    if info.network.model_dump(exclude={"stretch"}) != wanted.model_dump(exclude={"stretch"}):
        raise SettingsError(
            f"the weights {settings.start_from} are of a network with "
            f"{info.network.model_dump()}, and the one to train has {wanted.model_dump()}; set "
            f"{'mini' if settings.mini else 'network'} to theirs"
        )
    start = build_network(wanted)
    start.load_state_dict(model.state_dict())
    return start
