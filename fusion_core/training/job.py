"""What a process of a training is given: the job, its rank, and whom it reports to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from fusion_core.archive.plan import PairRef
from fusion_core.training.record import ProgressEvent
from fusion_core.training.settings import TrainSettings


@dataclass(frozen=True)
class TrainingJob:
    """A training that is decided on.

    Attributes:
        settings: What was asked for; source and output as full URLs or absolute paths.
        pairs: Pairs to train on, in their order.
        validation: Pairs kept apart.
        training: What decides the weights, as JSON values: recipe, pairs, first weights.
        began: When it was begun, ISO 8601.
        generation: Number of the lease under which the output is written; None without a lease.
    """

    settings: TrainSettings
    pairs: tuple[PairRef, ...]
    validation: tuple[PairRef, ...]
    training: Mapping[str, Any]
    began: str
    generation: int | None = None


@dataclass(frozen=True)
class WorkerRank:
    """What one process of a training is among the others.

    Attributes:
        device: Torch device.
        index: Its number, from 0.
        workers: Number of processes.
        wrap: Makes the module that averages gradients between the processes.
        mean: Averages a tensor over the processes; every one must call it at the same steps.
    """

    device: str = "cpu"
    index: int = 0
    workers: int = 1
    wrap: Callable[[nn.Module], nn.Module] = lambda module: module
    mean: Callable[[Tensor], Tensor] = lambda tensor: tensor

    @property
    def leads(self) -> bool:
        """Whether it is the one that validates, writes and reports."""
        return self.index == 0


@dataclass(frozen=True)
class Reporter:
    """Tells whoever waits for the training how far it is.

    Attributes:
        options: Returns the storage options to use now.
        report: Takes the events of progress.
    """

    options: Callable[[], Mapping[str, Any]]
    report: Callable[[ProgressEvent], None]
