"""What the workers of a training tell the driver, and the credentials that it tells them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class TrainingMailbox:
    """Hangs between the driver, which polls it, and the workers, which post to it."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Begin with the storage options of now."""
        self._options = options
        self._posts: list[dict[str, Any]] = []
        self._error: Exception | None = None

    def options(self) -> Mapping[str, Any]:
        """Storage options as the driver gave them last."""
        return self._options

    def post(self, sign: dict[str, Any]) -> None:
        """Take a sign of life of ``Reporter``."""
        self._posts.append(sign)

    def fail(self, error: Exception) -> None:
        """Take an error that the same training would meet again; the first one stays."""
        self._error = self._error or error

    def take(self, options: Mapping[str, Any]) -> tuple[list[dict[str, Any]], Exception | None]:
        """Return what was posted since the last call, and the error if there is one.

        Args:
            options: Storage options to use from now on.
        """
        self._options = options
        posts, self._posts = self._posts, []
        return posts, self._error


def start_mailbox(options: Mapping[str, Any]) -> Any:
    """Start a mailbox on the driver's node; it ends with the driver, and with nobody else."""
    remote: Any = ray.remote(TrainingMailbox)
    return remote.options(num_cpus=0, scheduling_strategy=beside_driver()).remote(options)


def beside_driver() -> NodeAffinitySchedulingStrategy:
    """Return how to place on the driver's node what would end the training if its node were lost.

    Ray may otherwise choose a node of which it doesn't know yet that it is gone.
    """
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
