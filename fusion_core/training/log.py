"""Makes the records of a training step by step, and reads the JSON log that holds them."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError
from torch import Tensor

from fusion_core.errors import SettingsError, TrainingError
from fusion_core.storage.store import Storage
from fusion_core.training.record import LeftOut, TrainingRecord, ValidationScores
from fusion_core.training.trainer import Trainer

LOG_FILE = "log.json"
CURVE_FILE = "curve.png"
WEIGHTS_FILE = "weights.safetensors"
CHECKPOINT_FILE = "checkpoint.safetensors"

_PACKAGES = ("fuse-archive", "torch", "ray")


class TrainingLog:
    """Collects the losses of a training from step to step, and makes records of them.

    Attributes:
        records: The records so far, one per checkpoint or validation.
        left_out: The corrupt pairs found so far, in order.
    """

    def __init__(
        self, records: Sequence[TrainingRecord] = (), left_out: Sequence[LeftOut] = ()
    ) -> None:
        """Go on from what a checkpoint holds."""
        self.records = list(records)
        self.left_out = list(left_out)
        self._terms: dict[str, Tensor] = {}
        self._count = 0
        self._since = time.perf_counter()

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Count in the loss terms of one step; they stay on their device."""
        for name, term in terms.items():
            self._terms[name] = self._terms[name] + term if name in self._terms else term
        self._count += 1

    def means(self) -> Tensor:
        """Return the mean of each term since the last record, (K,) in fp64, in the terms' order."""
        return torch.stack(list(self._terms.values())).double() / self._count

    def record(self, trainer: Trainer, means: Tensor) -> TrainingRecord:
        """Make a record of the steps since the last one, and return it.

        Args:
            trainer: The trainer that took the steps.
            means: What ``means`` returned, averaged over all workers.

        Raises:
            TrainingError: The loss is not finite.
        """
        terms = dict(zip(self._terms, means.tolist(), strict=True))
        loss = sum(terms.values())
        if not math.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss} at step {trainer.step}, so the training has diverged; the "
                "checkpoint before stays. Lower learning_rate or set clip, and train into another "
                "output folder"
            )
        seconds = time.perf_counter() - self._since
        before = self.records[-1].seconds if self.records else 0.0
        self.records.append(
            TrainingRecord(
                step=trainer.step,
                loss=loss,
                terms=terms,
                learning_rate=trainer.learning_rate,
                steps_per_second=round(self._count / seconds, 3),
                seconds=round(before + seconds, 3),
                validation=None,
            )
        )
        self._terms, self._count = {}, 0
        return self.records[-1]

    def add_validation(self, scores: ValidationScores) -> TrainingRecord:
        """Complete the last record with what the validation found, and return it."""
        self.records[-1] = self.records[-1].model_copy(update={"validation": scores})
        return self.records[-1]

    def leave_out(self, found: Iterable[LeftOut]) -> None:
        """Name corrupt pairs, each once; after a restart they are found again."""
        named = {pair.pair_id for pair in self.left_out}
        self.left_out += [pair for pair in found if pair.pair_id not in named]

    def rest(self) -> None:
        """Start the clock of the next record now, after a validation or a checkpoint."""
        self._since = time.perf_counter()


class LogFile(BaseModel):
    """The content of a training's JSON log.

    Attributes:
        finished: Whether the training has come to its last step.
        began: When it was begun, ISO 8601.
        training: What decides the weights, as JSON values.
        settings: The settings that change how it is run and not what comes of it.
        versions: Versions of the packages that it ran with.
        machine: What it ran on.
        records: Its records so far.
        left_out: Pairs that it did without, since their files can't be used.
    """

    model_config = ConfigDict(frozen=True)

    finished: StrictBool
    began: str
    training: dict[str, Any]
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, Any]
    records: tuple[TrainingRecord, ...] = Field(min_length=1)
    left_out: tuple[LeftOut, ...] = ()


def machine_facts(device: str, workers: int) -> dict[str, Any]:
    """Return what the training runs on: no names of hosts, users or folders."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {
        "cpus": os.cpu_count(),
        "device": f"{device} ({name})",
        "workers": workers,
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Return the versions of this package, torch, ray and Python."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def read_log(output: Storage) -> LogFile | None:
    """Read a training's log from its output; return None where there is none.

    Raises:
        SettingsError: The object is no log of a training.
        StorageError: The store failed.
    """
    try:
        return LogFile.model_validate_json(output.read(LOG_FILE))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "its text"
        raise SettingsError(
            f"{output.url(LOG_FILE)} is no log of a training: {where}: {first['msg']}. Give "
            "another output folder, of this training alone"
        ) from error
