"""The actors of a pool: asked for as the cluster has room, started, left out, ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError, RayTaskError

from actors.autopsy import Autopsy
from actors.nodes import NodeView
from actors.places import Places
from actors.ray_internals import node_of
from actors.worker_slot import WorkerSlot
from fusion_core.errors import FuseArchiveError
from fusion_core.models import Arithmetic

_SPARES = 2
_SECONDS_BETWEEN_LINES = 60.0
log = logging.getLogger(__name__)


class NoWorkerError(FuseArchiveError):
    """No actor could be started, or kept alive."""


@dataclass(frozen=True, kw_only=True)
class PoolLimits:
    """What bounds a pool.

    Attributes:
        most: At most so many actors; None for no bound.
        grows: Whether the cluster may grow while the pool works, so that more are asked for than
            fit it now.
        patience: Seconds without any usable actor after which the run fails.
        pair_deadline: Seconds that a pair may take; an actor that gives no sign of life for so
            long is ended.
        until: Moment of the monotonic clock at which the work ends, finished or not.
        asks: What a worker asks for, in words.
    """

    most: int | None = None
    grows: bool = False
    patience: float = 600.0
    pair_deadline: float = 1800.0
    until: float | None = None
    asks: str = "its share"


class Staff:
    """The actors of a pool.

    Ray places them. A few more than have room are asked for where the cluster may grow: Ray gives
    them room as soon as there is any, and its autoscaler takes them for what is needed. Unlike a
    standing request to the autoscaler they end with this process, however that ends.

    Args:
        make_actor: Asks Ray for one, on none of the nodes whose ids it is given.
        fits: Returns how many fit a node, given its resources.
        limits: What bounds the pool.
        nodes: The cluster's nodes.
        places: What is left out.

    Attributes:
        slots: The actors.
        starting: Those that were asked to start, by the answer that is waited for.
        arithmetic: That of the run, as the first actor that started settled it.
    """

    def __init__(
        self,
        make_actor: Callable[[Collection[str]], ActorHandle[Any]],
        fits: Callable[[Mapping[str, float]], int],
        limits: PoolLimits,
        *,
        nodes: NodeView,
        places: Places,
    ):
        self._make_actor, self._fits, self._limits = make_actor, fits, limits
        self._nodes, self._places = nodes, places
        self.slots: list[WorkerSlot] = []
        self.starting: dict[ray.ObjectRef[Any], WorkerSlot] = {}
        self.arithmetic: Arithmetic | None = None
        self._made_at = -1.0
        self._usable_at = self._told_at = time.monotonic()
        self._last_error: BaseException | None = None
        self._examined: list[tuple[Autopsy, WorkerSlot, RayError]] = []

    def keep(self, outstanding: int | None) -> None:
        """Have as many actors as there is room and work for.

        Args:
            outstanding: Chunks left to do; None where that isn't known.

        Raises:
            NoWorkerError: None was usable for as long as is waited for, or none can be.
            FuseArchiveError: No node is left that can start one; its own error, where it told one.
        """
        now = time.monotonic()
        self._examine()
        if any(slot.usable for slot in self.slots):
            self._usable_at = self._told_at = now
        elif self._places.left_out and not self._room() and self._nodes.settled:
            self._raise_none_left()
        elif now - self._usable_at > self._limits.patience:
            raise NoWorkerError(self._waited(now))
        elif now - self._told_at > _SECONDS_BETWEEN_LINES:
            self._told_at = now
            log.warning("%s", self._waited(now))
        self._trim(outstanding)
        if now - self._made_at > 1.0:
            self._made_at = now
            for _ in range(self._missing(outstanding)):
                self._hire()

    def took_up(self, ref: ray.ObjectRef[Any]) -> None:
        """Take in an actor's answer to the call to start."""
        slot = self.starting.pop(ref)
        try:
            slot.started = ray.get(ref)
        except RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            self._could_not_start(slot, cause, for_good=isinstance(cause, FuseArchiveError))
        except RayError as error:
            if not slot.ending:
                self._died_at_start(slot, error)
        else:
            self._settle(slot)

    def end(self, slot: WorkerSlot) -> None:
        """End an actor, whatever it is doing."""
        slot.ending = True
        ray.kill(slot.actor, no_restart=True)
        self.gone(slot)

    def gone(self, slot: WorkerSlot) -> None:
        """Forget an actor that has ended."""
        if slot in self.slots:
            self.slots.remove(slot)

    def close(self) -> None:
        """End all."""
        for slot in list(self.slots):
            self.end(slot)

    def _hire(self) -> None:
        slot = WorkerSlot(self._make_actor(self._places.nodes))
        self.slots.append(slot)
        self._ask_to_start(slot)

    def _ask_to_start(self, slot: WorkerSlot) -> None:
        self.starting[slot.actor.start.remote(self.arithmetic)] = slot

    def _settle(self, slot: WorkerSlot) -> None:
        """Have an actor that started compute as the others do, or leave it idle."""
        assert slot.started is not None
        if self.arithmetic is None:
            self.arithmetic = slot.started.arithmetic
        if slot.started.arithmetic != self.arithmetic:
            slot.started = None
            self._ask_to_start(slot)
        elif slot.gpu in self._places.gpus:
            slot.left_out = True  # as long as it is there, nothing else is put on its GPU
        elif slot.node_id in self._places.nodes:
            self.end(slot)

    def _died_at_start(self, slot: WorkerSlot, error: RayError) -> None:
        """Look into the death of an actor that wasn't ready yet; its node may have been lost."""
        if isinstance(error, RayActorError) and error.actor_init_failed:
            self._could_not_start(slot, error, for_good=False)
            return
        self.end(slot)
        found = Autopsy(error, node_of(slot.actor), memory_kills=0)
        self._examined.append((found, slot, error))

    def _examine(self) -> None:
        waiting = []
        for autopsy, slot, error in self._examined:
            finding = autopsy.finding(self._nodes.alive)
            if finding is None:
                waiting.append((autopsy, slot, error))
            elif finding != "lost":
                self._could_not_start(slot, error, for_good=False)
        self._examined = waiting

    def _could_not_start(self, slot: WorkerSlot, error: BaseException, *, for_good: bool) -> None:
        node_id = node_of(slot.actor)
        self.end(slot)
        if node_id is None or node_id not in self._nodes.alive:
            return  # lost, or never placed
        self._last_error = error
        name = self._nodes.names.get(node_id, "?")
        reason = f"{type(error).__name__}: {error}"
        if self._places.node_failed(node_id, name, reason[:1000], for_good=for_good):
            log.warning("node %s can't start a worker and is left out: %s", name, reason[:1000])
            for one in [one for one in self.slots if one.started is None]:
                self.end(one)  # asked for before, so that Ray may put it there

    def _missing(self, outstanding: int | None) -> int:
        """Return how many more are to be asked for."""
        active = [slot for slot in self.slots if not (slot.left_out or slot.draining)]
        starting = sum(slot.started is None for slot in active)
        bounds = [bound for bound in (self._limits.most, outstanding) if bound is not None]
        room = self._room()
        if self._limits.grows:
            # As many again as there are, so that a cluster doubles as fast as it can.
            ready = len(active) - starting
            wanted = max(room, ready + max(_SPARES, ready))
        else:
            wanted = max(room, 1)
        return max(min([wanted, *bounds]) - len(active), 0)

    def _trim(self, outstanding: int | None) -> None:
        """Take back what was asked for and is needed no more."""
        if outstanding is None:
            return
        starting = [slot for slot in self.slots if slot.started is None]
        others = sum(slot.usable for slot in self.slots)
        for slot in starting[max(outstanding - others, 0) :]:
            self.end(slot)

    def _room(self) -> int:
        """Return how many actors fit the nodes and GPUs that are not left out."""
        left = [
            self._fits(node)
            for node_id, node in self._nodes.alive.items()
            if node_id not in self._places.nodes and node_id not in self._nodes.draining
        ]
        return max(sum(left) - sum(slot.left_out for slot in self.slots), 0)

    def _raise_none_left(self) -> None:
        if isinstance(self._last_error, FuseArchiveError):
            raise self._last_error
        told = "; ".join(self._places.told())
        raise NoWorkerError(
            f"no node or GPU is left that can work: {told}. Expected one. Check that this version "
            "of fuse-archive is installed on every node of the cluster, and the GPUs' drivers"
        ) from self._last_error

    def _waited(self, now: float) -> str:
        seconds = now - self._usable_at
        nodes = [dict(node) for node in self._nodes.alive.values()]
        return (
            f"no worker could be started for {seconds:.0f} of {self._limits.patience:.0f} s "
            f"(worker_patience): each asks for {self._limits.asks}, and the cluster has {nodes}. "
            "Give it a node with as much, or change worker; where it has one, Ray's logs say what "
            "ended the workers"
        )
