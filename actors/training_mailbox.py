"""Carries events and errors from a training's workers to the driver, and credentials back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from fusion_core.training import ProgressEvent


class TrainingMailbox:
    """Holds what the workers post until the driver takes it, and the storage options for them."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Start empty, with the storage options to use now."""
        self._options = options
        self._events: list[ProgressEvent] = []
        self._error: Exception | None = None

    def options(self) -> Mapping[str, Any]:
        """Return the storage options that the driver gave last."""
        return self._options

    def post(self, event: ProgressEvent) -> None:
        """Keep an event of a worker until it is taken."""
        self._events.append(event)

    def fail(self, error: Exception) -> None:
        """Keep an error that the same training would meet again; the first one stays."""
        self._error = self._error or error

    def take(self, options: Mapping[str, Any]) -> tuple[list[ProgressEvent], Exception | None]:
        """Return what was posted since the last call, and the error if there is one.

        Args:
            options: Storage options for the workers to use from now on.
        """
        self._options = options
        events, self._events = self._events, []
        return events, self._error


def start_mailbox(options: Mapping[str, Any]) -> Any:
    """Start a mailbox on the driver's node; it ends with the driver, and with nobody else."""
    remote: Any = ray.remote(TrainingMailbox)
    return remote.options(num_cpus=0, scheduling_strategy=beside_driver()).remote(options)


def beside_driver() -> NodeAffinitySchedulingStrategy:
    """Return the strategy that places a task or actor on the driver's node.

    It is for what would end the training if its node were lost: Ray may otherwise choose a node of
    which it doesn't know yet that it is gone.
    """
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
