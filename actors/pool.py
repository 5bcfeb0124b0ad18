"""The scheduler loop: feeds chunks to actors and survives the death of actors and nodes.

An actor's death can't be told from the death of its node, nor which pair of which chunk caused it.
So every chunk that was on the actor is suspected and runs alone from then on; one that is there at
a second death is halved, and so on down to the pair, which is given up only after it was alone at
two deaths. A commit is exclusive, so work done twice is never recorded twice.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, RayError, RayTaskError

from actors.resources import alive_nodes
from actors.waiting import POLL_SECONDS, wait_any
from fusion_core.archive import Chunk
from fusion_core.errors import FuseArchiveError, LeaseLostError, UnreachableError
from fusion_core.jobs import ChunkResult

IN_FLIGHT = 2
"""Chunks per actor: one that runs and one that waits, so that no actor idles for the driver."""

_DEATHS_TO_HALVE = 2
_DEATHS_TO_GIVE_UP = 3
_ERRORS_TO_STOP = 3
_STILLBORN_TO_STOP = 3
_STOP_AT_ONCE = (UnreachableError, LeaseLostError)


class NoWorkerError(FuseArchiveError):
    """No actor could be started, or kept alive."""


@dataclass
class _Task:
    """A chunk, and how often its processing was cut short or failed."""

    chunk: Chunk
    deaths: int = 0
    errors: int = 0

    @property
    def hopeless(self) -> bool:
        return len(self.chunk.pairs) == 1 and self.deaths >= _DEATHS_TO_GIVE_UP


@dataclass(eq=False)
class _Slot:
    """One actor, and the tasks that it was given."""

    actor: ActorHandle[Any]
    ready: bool = False
    asked_at: float = 0.0
    tasks: list[_Task] = field(default_factory=list)

    def accepts(self, task: _Task) -> bool:
        if not self.ready:
            return False
        if task.deaths or any(other.deaths for other in self.tasks):
            return not self.tasks
        return len(self.tasks) < IN_FLIGHT


class ActorPool:
    """A fixed number of actors that chunks are fed to.

    Args:
        make_actor: Asks Ray for one actor with the methods of ``ChunkActor``.
        size: Number of actors.
        storage_options: Called for every chunk, so that credentials are always fresh.
        patience: Seconds without any living actor after which the run fails.
        check: Called again and again while the work goes on; what it raises ends it.
        until: Moment of the monotonic clock at which the work ends, finished or not.
    """

    def __init__(
        self,
        make_actor: Callable[[], ActorHandle[Any]],
        size: int,
        *,
        storage_options: Callable[[], Mapping[str, Any]] = dict,
        patience: float = 600.0,
        check: Callable[[], None] = lambda: None,
        until: float | None = None,
    ):
        self._make_actor = make_actor
        self._storage_options = storage_options
        self._patience = patience
        self._check = check
        self._until = until
        self._slots = [_Slot(make_actor()) for _ in range(size)]
        self._probes: dict[ray.ObjectRef[Any], _Slot] = {}
        self._running: dict[ray.ObjectRef[Any], tuple[_Slot, _Task]] = {}
        self._waiting: deque[_Task] = deque()
        self._alive_at = time.monotonic()
        self._stillborn = 0
        self._exhausted = False
        self.deaths = 0
        """How often an actor was lost with chunks on it."""
        self.finished = False
        """Whether all chunks were processed."""

    def run(self, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """Process all chunks, yield results as they come, and end the actors at the end.

        Raises:
            UnreachableError: A store gives no answer.
            LeaseLostError: Another run has taken the output over.
            NoWorkerError: No actor lives for ``patience`` seconds.
            FuseArchiveError: An actor can't start for a stated reason (model, settings), or the
                output can't be written.
        """
        source = iter(chunks)
        try:
            while self._until is None or time.monotonic() < self._until:
                self._check()
                self._probe()
                self._dispatch(source)
                if not self._running and not self._waiting and self._exhausted:
                    self.finished = True
                    return
                yield from self._collect()
        finally:
            self.close()

    def close(self) -> None:
        """End all actors."""
        for slot in self._slots:
            ray.kill(slot.actor, no_restart=True)
        self._slots = []

    def _probe(self) -> None:
        """Ask actors that aren't known to be ready to start, at most once a second each."""
        now = time.monotonic()
        asked = set(self._probes.values())
        for slot in self._slots:
            if slot.ready:
                self._alive_at = now
            elif slot not in asked and now - slot.asked_at >= 1.0:
                slot.asked_at = now
                self._probes[slot.actor.start.remote()] = slot
        if now - self._alive_at > self._patience:
            raise NoWorkerError(
                f"no worker could be started for {self._patience:.0f} s; the cluster has "
                f"{alive_nodes()} and each worker asks for its share of it. Check the "
                "settings worker and max_workers, and Ray's logs for what ended the workers"
            )

    def _dispatch(self, source: Iterator[Chunk]) -> None:
        for slot in self._slots:
            while task := self._next_for(slot, source):
                options = self._storage_options()
                ref: Any
                if task.hopeless:
                    reason = (
                        f"the process working on this pair alone was lost "
                        f"{task.deaths - 1} times; expected it to live. Look at the files with "
                        "another program, at the worker's memory, and at Ray's logs"
                    )
                    ref = slot.actor.give_up.remote(task.chunk, options, reason)
                else:
                    ref = slot.actor.run.remote(task.chunk, options)
                slot.tasks.append(task)
                self._running[ref] = slot, task

    def _next_for(self, slot: _Slot, source: Iterator[Chunk]) -> _Task | None:
        """Take a task that the slot accepts; suspects first, for they may turn into many."""
        for task in self._waiting:
            if slot.accepts(task):
                self._waiting.remove(task)
                return task
        if slot.accepts(fresh := _Task(Chunk("", ()))):
            chunk = next(source, None)
            if chunk is not None:
                fresh.chunk = chunk
                return fresh
            self._exhausted = True
        return None

    def _collect(self) -> Iterator[ChunkResult]:
        refs: list[Any] = [*self._running, *self._probes]
        if not refs:
            time.sleep(POLL_SECONDS)
            return
        for ref in wait_any(refs):
            if ref in self._probes:
                self._probed(self._probes.pop(ref), ref)
                continue
            slot, task = self._running.pop(ref)
            slot.tasks.remove(task)
            try:
                yield ray.get(ref)
            except RayTaskError as error:
                self._errored(task, error)
            except RayError:
                self._died(slot, task)

    def _probed(self, slot: _Slot, ref: ray.ObjectRef[Any]) -> None:
        try:
            ray.get(ref)
            slot.ready = True
            self._stillborn = 0
        except RayTaskError as error:
            raise _cause(error) from error
        except ActorDiedError as error:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN_TO_STOP:
                raise NoWorkerError(
                    f"{self._stillborn} workers died while they were created: {error}. Check that "
                    "this version of fuse-archive is installed on every node of the cluster"
                ) from error
            slot.actor = self._make_actor()
        except RayError:
            pass  # it is being restarted; asked again in a second

    def _errored(self, task: _Task, error: RayTaskError) -> None:
        """Try a chunk again whose rows could not be committed, or stop the run."""
        task.errors += 1
        cause = _cause(error)
        if task.errors >= _ERRORS_TO_STOP or isinstance(cause, _STOP_AT_ONCE):
            raise cause from error
        self._waiting.append(task)

    def _died(self, slot: _Slot, task: _Task) -> None:
        self.deaths += slot.ready  # each of its chunks tells of the same death
        slot.ready = False
        task.deaths += 1
        if len(task.chunk.pairs) > 1 and task.deaths >= _DEATHS_TO_HALVE:
            halves = task.chunk.halves()
            self._waiting.extend(_Task(half, deaths=_DEATHS_TO_HALVE - 1) for half in halves)
        else:
            self._waiting.append(task)


def _cause(error: RayTaskError) -> BaseException:
    cause: BaseException = error.cause if isinstance(error.cause, Exception) else error
    return cause
