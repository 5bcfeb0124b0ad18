"""The scheduler loop: feeds chunks to actors, and survives the death of actors, GPUs and nodes.

It blames the right one. A lost node blames nobody (``autopsy``). A GPU that fails, or a node that
can't start an actor, is left out when it does so again (``places``). A process that dies or hangs
suspects its chunk (``chunk_task``). A pair that was tried without a verdict is tried once more, on
another actor. README.md has the table. A commit is exclusive, so work done twice is never recorded
twice.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError

from actors.autopsy import Autopsy
from actors.chunk_task import ChunkTask
from actors.nodes import NodeView
from actors.places import Places
from actors.ray_internals import node_of
from actors.staff import PoolLimits, Staff
from actors.waiting import POLL_SECONDS, wait_any
from actors.worker_slot import WorkerSlot
from fusion_core.archive import Chunk, PairRef
from fusion_core.errors import GpuFaultError, LeaseLostError, UnreachableError
from fusion_core.jobs import ChunkResult, Undone

_ERRORS_TO_STOP = 3
log = logging.getLogger(__name__)


class ActorPool:
    """Actors that chunks are fed to, as many as the cluster has room for.

    Args:
        make_actor: Asks Ray for one actor with the methods of ``ChunkActor``, on none of the nodes
            whose ids it is given.
        fits: Returns how many of them fit a node, given its resources.
        limits: What bounds the pool.
        storage_options: Called for every chunk, so that credentials are always fresh.
        check: Called again and again while the work goes on; what it raises ends it.
        declare: Told of chunks that are made while the work goes on, before any is begun.
    """

    def __init__(
        self,
        make_actor: Callable[[Collection[str]], ActorHandle[Any]],
        fits: Callable[[Mapping[str, float]], int],
        limits: PoolLimits,
        *,
        storage_options: Callable[[], Mapping[str, Any]] = dict,
        check: Callable[[], None] = lambda: None,
        declare: Callable[[Sequence[Chunk]], None] = lambda _: None,
    ):
        self.limits = limits
        self.nodes = NodeView()
        self.places = Places()
        self.staff = Staff(make_actor, fits, limits, nodes=self.nodes, places=self.places)
        self._storage_options = storage_options
        self._check = check
        self._declare = declare
        self.running: dict[ray.ObjectRef[Any], tuple[WorkerSlot, ChunkTask]] = {}
        self.waiting: deque[ChunkTask] = deque()
        self.examined: list[tuple[Autopsy, WorkerSlot, list[ChunkTask]]] = []
        self._remade = itertools.count(1)
        self._exhausted = False
        self.deaths = 0
        """How often an actor died, or had to be ended, with chunks on it, its node living on."""
        self.lost = 0
        """How often an actor was lost with its node."""
        self.finished = False
        """Whether all chunks were processed."""

    def run(self, chunks: Iterable[Chunk]) -> Generator[ChunkResult, None, None]:
        """Process all chunks, yield results as they come, end the actors at the end or if closed.

        Raises:
            UnreachableError: A store gives no answer.
            LeaseLostError: Another run has taken the output over.
            NoWorkerError: No actor is usable for ``patience`` seconds.
            FuseArchiveError: No node can start an actor, for a stated reason (model, settings), or
                the output can't be written.
        """
        source = iter(chunks)
        until = self.limits.until
        try:
            while until is None or time.monotonic() < until:
                self._check()
                self.nodes.refresh()
                self._examine()
                self.staff.keep(self._outstanding())
                self._look_after()
                self._dispatch(source)
                if self._exhausted and not (self.running or self.waiting or self.examined):
                    self.finished = True
                    return
                yield from self._collect()
        finally:
            self.close()

    def close(self) -> None:
        """End all actors."""
        self.staff.close()

    def _outstanding(self) -> int | None:
        """Return how many chunks there are left to do; None where that isn't known yet."""
        examined = sum(len(tasks) for _, _, tasks in self.examined)
        count = len(self.running) + len(self.waiting) + examined
        return count if self._exhausted else None

    def _dispatch(self, source: Iterator[Chunk]) -> None:
        for slot in self.staff.slots:
            while task := self._next_for(slot, source):
                options = self._storage_options()
                ref: Any
                if task.hopeless:
                    ref = slot.actor.give_up.remote(
                        task.chunk,
                        options,
                        reason=task.reason(),
                        cause=task.cause,
                        where=task.where,
                    )
                else:
                    ref = slot.actor.run.remote(task.chunk, options)
                slot.give(task)
                self.running[ref] = slot, task

    def _next_for(self, slot: WorkerSlot, source: Iterator[Chunk]) -> ChunkTask | None:
        """Take a task that the slot accepts: suspects first, for they may turn into many.

        What should be done elsewhere comes last, and only where there is no elsewhere.
        """
        accepted = [task for task in self.waiting if slot.accepts(alone=task.alone)]
        for task in accepted:
            if not slot.avoided_by(task):
                self.waiting.remove(task)
                return task
        if slot.accepts(alone=False) and not self._exhausted:
            chunk = next(source, None)
            if chunk is not None:
                return ChunkTask(chunk)
            self._exhausted = True
        for task in accepted:
            if not any(one.usable and not one.avoided_by(task) for one in self.staff.slots):
                self.waiting.remove(task)
                return task
        return None

    def _collect(self) -> Iterator[ChunkResult]:
        refs: list[Any] = [*self.running, *self.staff.starting]
        if not refs:
            time.sleep(POLL_SECONDS)
            return
        for ref in wait_any(refs):
            if ref in self.staff.starting:
                self.staff.took_up(ref)
                continue
            slot, task = self.running.pop(ref)
            slot.done(task)
            try:
                result = ray.get(ref)
            except RayTaskError as error:
                self._errored(slot, task, error)
            except RayError as error:
                self._died(slot, task, error)
            else:
                self._done(slot, task, result)
                yield result

    def _done(self, slot: WorkerSlot, task: ChunkTask, result: ChunkResult) -> None:
        """Take in a result: what it gives back, what it tried in vain, how the actor is."""
        assert slot.started is not None
        if not result.parts:  # nothing was begun, nothing committed: the same chunk again
            self.waiting.append(task)
        else:
            self.places.worked(slot.place)
            again = [ChunkTask(self._remake(task, result.left))] if result.left else []
            again += [ChunkTask(self._remake(task, [ref]), repeated=True) for ref in result.alone]
            again += [
                ChunkTask(
                    self._remake(task, [undone.ref], in_tiles=undone.cause == "memory"),
                    repeated=True,
                    avoid={slot},
                )
                for undone in result.undone
                if self._tried_again(slot, task, undone)
            ]
            self._declare([one.chunk for one in again])
            self.waiting.extend(again)
        if result.spoiled:
            self._end(slot)

    def _tried_again(self, slot: WorkerSlot, task: ChunkTask, undone: Undone) -> bool:
        """Tell whether a pair is tried once more in this run: elsewhere, or with less memory."""
        if task.repeated or task.hopeless or undone.cause == "archive":
            return False
        another = any(one is not slot and one.usable for one in self.staff.slots)
        return another or undone.cause in ("memory", "time")

    def _remake(
        self, task: ChunkTask, pairs: Sequence[PairRef], *, in_tiles: bool = False
    ) -> Chunk:
        """Make a chunk of pairs of a chunk that was committed without them."""
        part_id = f"{task.chunk.part_id}r{next(self._remade)}r"
        return Chunk(part_id, tuple(pairs), in_tiles=in_tiles or task.chunk.in_tiles)

    def _errored(self, slot: WorkerSlot, task: ChunkTask, error: RayTaskError) -> None:
        """Try a chunk again whose rows could not be committed, or stop the run."""
        cause: BaseException = error.cause if isinstance(error.cause, Exception) else error
        if isinstance(cause, GpuFaultError):
            self._gpu_failed(slot, task, cause)
            return
        task.errors += 1
        if task.errors >= _ERRORS_TO_STOP or isinstance(cause, LeaseLostError):
            raise cause from error
        task.avoid.add(slot)
        if isinstance(cause, UnreachableError):
            self._unreachable(slot, task, cause)
        self.waiting.append(task)

    def _unreachable(self, slot: WorkerSlot, task: ChunkTask, error: UnreachableError) -> None:
        """Blame the node where a store gave no answer, unless it gives none to another node either.

        Raises:
            UnreachableError: There is no other node, or it was another's turn already.
        """
        assert slot.started is not None
        others = [one for one in self.staff.slots if one.node_id != slot.node_id]
        if task.errors > 1 or not others:
            raise error
        log.warning("on %s, %s; tried on another node", slot.started.host, error)
        task.avoid.add(slot.node_id)
        self.places.node_failed(slot.started.node_id, slot.started.host, str(error), for_good=False)

    def _gpu_failed(self, slot: WorkerSlot, task: ChunkTask, error: GpuFaultError) -> None:
        """End an actor whose GPU failed; its chunk goes elsewhere, and is suspected if it recurs.

        It is the chunk's where it recurs on another GPU, or on one that has done others meanwhile.
        """
        assert slot.started is not None
        place = slot.place
        recurs = task.faulty - {place} or (place in task.faulty and self.places.clean(place))
        task.avoid.add(place)
        task.faulty.add(place)
        self._end(slot)
        if recurs:
            log.warning("%s; on another try, too: the chunk is suspected", error)
            self.waiting.extend(task.suspects("gpu", slot.started.host))
            return
        self.waiting.append(task)
        out = self.places.gpu_failed(slot.started, str(error))
        log.warning("%s%s", error, "; it is left out for this run" if out else "")

    def _died(self, slot: WorkerSlot, task: ChunkTask, error: RayError) -> None:
        """Look into the death of an actor; each of its chunks tells of the same one."""
        if slot.ending:
            self.waiting.append(task)
            return
        for _, one, tasks in self.examined:
            if one is slot:
                tasks.append(task)
                return
        ray.kill(slot.actor, no_restart=True)  # it may live on, out of reach
        kills = slot.started.memory_kills if slot.started else 0
        found = Autopsy(error, slot.node_id or node_of(slot.actor), kills)
        self.examined.append((found, slot, [task]))
        self.staff.gone(slot)

    def _examine(self) -> None:
        """Suspect the chunks of actors that died on a living node, and nobody for a lost one."""
        waiting = []
        for autopsy, slot, tasks in self.examined:
            finding = autopsy.finding(self.nodes.alive)
            if finding is None or any(one is slot for one, _ in self.running.values()):
                waiting.append((autopsy, slot, tasks))
            elif finding == "lost":
                self.lost += 1
                self.waiting.extend(tasks)
            else:
                self.deaths += 1
                host = slot.started.host if slot.started else "?"
                for task in tasks:
                    self.waiting.extend(task.suspects(finding, host))
        self.examined = waiting

    def _look_after(self) -> None:
        """Tell actors whose node is to end, and end those that are over their time."""
        for slot in list(self.staff.slots):
            if slot.usable and slot.node_id in self.nodes.draining | self.places.nodes:
                log.warning("a worker on node %s begins no more", slot.node_id)
                slot.stop_soon()
            if slot.draining and not slot.tasks:
                self._end(slot)
            if what := slot.over_time(self.limits.pair_deadline):
                self._over_time(slot, what)

    def _over_time(self, slot: WorkerSlot, what: str) -> None:
        """End an actor that hangs; what is at work on it is suspected, what waits there is not."""
        assert slot.started is not None
        log.warning("a worker on %s %s; ended", slot.started.host, what)
        self.deaths += 1
        head = slot.tasks[0]
        self.running = {ref: work for ref, work in self.running.items() if work[1] is not head}
        slot.done(head)
        self._end(slot)
        self.waiting.extend(head.suspects("time", slot.started.host))

    def _end(self, slot: WorkerSlot) -> None:
        """End an actor; what is on it comes back, and is nobody's fault."""
        slot.ending = True
        self.staff.end(slot)
