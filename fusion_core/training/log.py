"""What a training tells: its records from step to step, and the JSON log that holds them."""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from fusion_core.errors import SettingsError, TrainingError
from fusion_core.storage.store import Storage
from fusion_core.training.trainer import Trainer

LOG_FILE = "log.json"
CURVE_FILE = "curve.png"
WEIGHTS_FILE = "weights.safetensors"
CHECKPOINT_FILE = "checkpoint.safetensors"

_PACKAGES = ("fuse-archive", "torch", "ray")


class TrainingLog:
    """The records of a training, with the losses since the last one.

    Attributes:
        records: One per checkpoint or validation, JSON values: ``step``, ``loss``, its ``terms``,
            ``learning_rate``, ``steps_per_second`` since the record before, ``seconds`` since the
            training began without interruptions, and ``validation``, None or what
            ``Validator`` returned.
    """

    def __init__(self, records: list[dict[str, Any]] | None = None) -> None:
        """Go on from the records of a checkpoint."""
        self.records = records or []
        self._terms: dict[str, Tensor] = {}
        self._count = 0
        self._since = time.perf_counter()

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """Take the loss terms of one step; they stay on their device."""
        for name, term in terms.items():
            self._terms[name] = self._terms[name] + term if name in self._terms else term
        self._count += 1

    def means(self) -> Tensor:
        """Mean of each term since the last record, (K,) in fp64, in the terms' order."""
        return torch.stack(list(self._terms.values())).double() / self._count

    def record(self, trainer: Trainer, means: Tensor) -> dict[str, Any]:
        """Append a record of the steps since the last one and return it.

        Args:
            trainer: Where the training is.
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
        before = self.records[-1]["seconds"] if self.records else 0.0
        self.records.append(
            {
                "step": trainer.step,
                "loss": loss,
                "terms": terms,
                "learning_rate": trainer.learning_rate,
                "steps_per_second": round(self._count / seconds, 3),
                "seconds": round(before + seconds, 3),
                "validation": None,
            }
        )
        self._terms, self._count = {}, 0
        return self.records[-1]

    def rest(self) -> None:
        """Begin the time of the next record now, after a validation or a checkpoint."""
        self._since = time.perf_counter()


def machine_facts(device: str, workers: int) -> dict[str, Any]:
    """What the training runs on: no names of hosts, users or folders."""
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.machine()
    return {
        "cpus": os.cpu_count(),
        "device": f"{device} ({name})",
        "workers": workers,
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """Versions of this package, torch, ray and Python."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def read_log(output: Storage) -> dict[str, Any] | None:
    """Read a training's log from its output; None where there is none.

    Raises:
        SettingsError: The object is no log of a training.
        StorageError: The store failed.
    """
    try:
        log = json.loads(output.read(LOG_FILE))
        if not isinstance(log["finished"], bool) or not isinstance(log["training"], dict):
            raise ValueError("its 'finished' and 'training' are of other types")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{output.url(LOG_FILE)} is no log of a training: {error!r}. Give another output "
            "folder, of this training alone"
        ) from error
    found: dict[str, Any] = log
    return found
