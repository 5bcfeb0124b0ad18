"""Writes what a training leaves in its output folder, and goes on from what lies there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fusion_core.archive.lease_record import successor
from fusion_core.errors import LeaseLostError
from fusion_core.models.weights_file import weights_body
from fusion_core.storage.store import Storage
from fusion_core.training.checkpoint import (
    Checkpoint,
    check_same,
    read_checkpoint,
    resume,
    write_checkpoint,
)
from fusion_core.training.curve import draw_curve
from fusion_core.training.job import TrainingJob, WorkerRank
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
from fusion_core.training.trainer import Trainer

_LOGGED = ("workers", "worker", "checkpoint_every", "validate_every", "size_mismatch")
"""Settings in the log beside what decides the weights; those with paths stay out of it."""


class TrainingOutput:
    """Reads and writes checkpoint, weights, curve and log of one training.

    Args:
        job: The training.
        rank: What this process is in it.
        options: Returns the storage options to use now.
    """

    def __init__(
        self, job: TrainingJob, rank: WorkerRank, options: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._job = job
        self._rank = rank
        self._options = options

    def resume(self, trainer: Trainer) -> TrainingLog:
        """Put the trainer where the last checkpoint was written, and return the log up to there.

        Where there is no checkpoint, nothing is done and the log is empty.

        Raises:
            WeightsError: The checkpoint is damaged, or of other settings or pairs.
            StorageError: The store failed.
        """
        storage = self._storage()
        checkpoint = read_checkpoint(storage, CHECKPOINT_FILE)
        if checkpoint is None:
            return TrainingLog()
        url = storage.url(CHECKPOINT_FILE)
        check_same(url, self._job.training, checkpoint.training)
        resume(trainer, checkpoint, url)
        return TrainingLog(checkpoint.records, checkpoint.left_out)

    def save(self, trainer: Trainer, told: TrainingLog) -> None:
        """Write checkpoint, weights and curve, and the log last: what it says of them is there.

        Args:
            trainer: Where the training is.
            told: The log up to there, with one record at least.

        Raises:
            LeaseLostError: Another training has taken the output over; nothing is written.
            StorageError: The store failed.
        """
        storage, job = self._storage(), self._job
        self._check_lease(storage)
        log = LogFile(
            finished=trainer.step == trainer.steps,
            began=job.began,
            training=dict(job.training),
            settings={name: getattr(job.settings, name) for name in _LOGGED},
            versions=versions(),
            machine=machine_facts(self._rank.device, self._rank.workers),
            records=tuple(told.records),
            left_out=tuple(told.left_out),
        )
        checkpoint = Checkpoint(
            trainer.step, job.training, log.records, trainer.state(), log.left_out
        )
        write_checkpoint(storage, CHECKPOINT_FILE, checkpoint)
        training = {**job.training, "result": log.records[-1].model_dump()}
        storage.write(WEIGHTS_FILE, weights_body(trainer.averaged(), training))
        storage.write(CURVE_FILE, draw_curve(log.records, f"RefineFuse, step {trainer.step}"))
        storage.write(LOG_FILE, json.dumps(log.model_dump(), indent=1).encode())

    def _check_lease(self, storage: Storage) -> None:
        """Look whether the output is still ours: the driver may have slept, and others go on."""
        generation = self._job.generation
        other = None if generation is None else successor(storage, generation)
        if other is not None:
            raise LeaseLostError(
                f"{other} took {storage.url('')} over from this training, which had given no sign "
                "of life; nothing more is written. Let the other one finish"
            )

    def _storage(self) -> Storage:
        return Storage(self._job.settings.output, self._options())
