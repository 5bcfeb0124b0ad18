"""Has one thing go wrong: a kind of fault, made on a cluster and a store that are at work."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from driver import Driver
from fault_orders import FaultOrders
from kinds import IN_A_ROW, POINTS
from persistent_s3 import PersistentS3
from processes import alive
from ray_nodes import RayNodes, kill

LONGEST_OUTAGE = 2.0
ACTOR = "FusionActor"
_MET_WITHIN = 12.0
_SEEN_WITHIN = 8.0
# Seconds that a pair takes while a chunk is looked for, and once it is found and to be hit.
_PACE_UNSEEN, _PACE_SEEN = 0.3, 1.5
_POLL = 0.05
# How often a point is passed before a driver ends there.
_PASSES = (0, 0, 0, 1)
_REMOVALS = range(40)
Note = dict[str, Any]


class Strikes:
    """Makes faults, each by the method of its name, which returns what it did or nothing.

    Nothing is returned where there was nobody to meet the fault.

    Args:
        nodes: The cluster.
        store: The S3 server.
        orders: What workers are asked to meet.
        rng: Draws victims and durations.
    """

    def __init__(
        self, nodes: RayNodes, store: PersistentS3, orders: FaultOrders, rng: random.Random
    ):
        self.nodes, self.store, self.orders, self.rng = nodes, store, orders, rng
        self.sick_node: str | None = None
        self._frozen: dict[int, tuple[str, float]] = {}
        self._laid: str | None = None

    def make(self, kind: str, driver: Driver) -> list[Note]:
        """Make a fault of a kind; three at once where that is what the kind is."""
        made: list[Note] = getattr(self, kind)(driver)
        return [{"kind": kind, **note} for note in made]

    def actor(self, _: Driver) -> list[Note]:
        victims = self.nodes.actors(ACTOR)
        if not victims:
            return []
        name, pid = self.rng.choice(victims)
        kill([pid])
        return [{"node": name}]

    def raylet(self, _: Driver) -> list[Note]:
        healthy = [name for name in self.nodes.names if name != self.sick_node]
        name, whole = self.rng.choice(healthy), self.rng.random() < 0.5
        self._lose(name, whole=whole)
        self.nodes.add()
        return [{"node": name, "whole_node": whole}]

    def driver(self, driver: Driver) -> list[Note]:
        driver.kill()
        return [{}]

    def publishing(self, driver: Driver) -> list[Note]:
        """Have the run end in the middle of the next publication, or of the one after."""
        if not self.orders.at_work().keys() & self.nodes.names:
            return []
        name = self._order_of_driver("publishing")
        _wait(lambda: self.orders.met_on(name), _MET_WITHIN, driver)
        if self.orders.withdraw(name):
            return []
        driver.wait()
        return [{"at": self.orders.met_at(name)}]

    def s3(self, _: Driver) -> list[Note]:
        outage = round(self.rng.uniform(0.1, LONGEST_OUTAGE), 2)
        self.store.kill()
        time.sleep(outage)
        self.store.start()
        return [{"outage": outage}]

    def gpu(self, driver: Driver) -> list[Note]:
        return self._ordered("gpu", driver)

    def memory(self, driver: Driver) -> list[Note]:
        return self._ordered("memory", driver)

    def hang(self, driver: Driver) -> list[Note]:
        return self._ordered("hang", driver)

    def frozen(self, _: Driver) -> list[Note]:
        busy = self.orders.at_work()
        victims = [one for one in self.nodes.actors(ACTOR) if one[0] in busy]
        victims = [one for one in victims if one[1] not in self._frozen]
        if not victims:
            return []
        name, pid = self.rng.choice(victims)
        kill([pid], signal.SIGSTOP)
        self._frozen[pid] = name, time.monotonic()
        return [{"node": name}]

    def preempted(self, driver: Driver) -> list[Note]:
        """Take away the node of a chunk, and the node that it is given to then, and once more.

        Where it is done meanwhile, another chunk is followed.
        """
        made: list[Note] = []
        pair, missing, in_a_row = "", 0, 0
        try:
            while len(made) < IN_A_ROW and driver.exit_code() is None:
                self.orders.set_pace(_PACE_UNSEEN)
                name = self._wait_for_work_at(pair, driver)
                if name is None and missing:  # adding takes seconds, in which a chunk is done
                    missing = self._add(missing)
                    name = self._wait_for_work_at(pair, driver)
                if name is None and not pair:
                    break
                if name is None:
                    pair, in_a_row = "", 0
                    continue
                self.orders.set_pace(_PACE_SEEN)
                pair = pair or self.orders.at_work().get(name, [""])[-1]
                grace = round(self.rng.uniform(0.1, 0.8), 2)
                told = self.nodes.preempt(name, grace)
                time.sleep(grace)
                self._lose(name, whole=True)
                missing, in_a_row = missing + 1, in_a_row + 1
                made.append({"node": name, "grace": grace, "told": told, "in_a_row": in_a_row})
        finally:
            self._add(missing)
        return made

    def shrink(self, _: Driver) -> list[Note]:
        """Leave one node, which is not the sick one, and grow again some seconds later."""
        names = self.nodes.names
        stays = self.rng.choice([name for name in names if name != self.sick_node] or names)
        gone = [name for name in names if name != stays]
        for name in gone:
            self._lose(name, whole=self.rng.random() < 0.5)
        seconds = round(self.rng.uniform(1.0, 4.0), 2)
        time.sleep(seconds)
        self._add(len(gone))
        return [{"nodes": gone, "seconds": seconds}]

    def repair(self, count: int) -> None:
        """Have the store and so many nodes be there, whatever an earlier round came to."""
        self.store.kill()
        self.store.start()
        self._add(count - len(self.nodes.names))

    def make_sick(self) -> None:
        """Have one node start no worker from now on."""
        self.sick_node = self.rng.choice(self.nodes.names)
        self.orders.set_sick(self.sick_node)

    def lay(self, kinds: Sequence[str]) -> None:
        """Have the next command end where it is ordered to; with no kinds nothing is laid."""
        self._laid = self._order_of_driver(self.rng.choice(kinds)) if kinds else None

    def laid_is_met(self) -> bool:
        """Tell whether a run has met what was laid for it."""
        return self._laid is not None and self.orders.met_on(self._laid) is not None

    def take_back(self) -> list[Note]:
        """Take back what was laid, once the run has ended; returns it if it was met."""
        name, self._laid = self._laid, None
        if name is None or self.orders.withdraw(name):
            return []
        return [{"kind": name.partition("-")[0], "at": self.orders.met_at(name)}]

    def heal(self) -> list[Note]:
        """Have all nodes start workers again; returns what the sick one refused, if it did."""
        refused = self.orders.refusals() if self.sick_node else 0
        name, self.sick_node = self.sick_node, None
        self.orders.set_sick(None)
        return [{"kind": "sick", "node": name, "refused": refused}] if refused else []

    def end_frozen(self) -> tuple[int, list[Note]]:
        """End processes that were stopped; returns how many had ended before, and those left."""
        left = [pid for pid in self._frozen if alive(pid)]
        told = [
            {
                "node": name,
                "node_lives": name in self.nodes.names,
                "seconds": round(time.monotonic() - since, 1),
            }
            for pid, (name, since) in self._frozen.items()
            if pid in left
        ]
        ended = len(self._frozen) - len(left)
        kill(left)
        self._frozen.clear()
        return ended, told

    def _order_of_driver(self, kind: str) -> str:
        point = self.rng.choice(POINTS[kind])
        passes = self.rng.choice(_REMOVALS if kind == "cleaning" else _PASSES)
        return self.orders.order(kind, f"{point} {passes}")

    def _ordered(self, kind: str, driver: Driver) -> list[Note]:
        if not self.orders.at_work().keys() & self.nodes.names:
            return []
        name = self.orders.order(kind)
        _wait(lambda: self.orders.met_on(name), _MET_WITHIN, driver)
        if self.orders.withdraw(name):
            return []
        return [{"node": self.orders.met_on(name)}]

    def _wait_for_work_at(self, pair: str, driver: Driver) -> str | None:
        """Return the node where a pair's chunk is at work; with no pair, any node at work."""

        def look() -> str | None:
            at_work = self.orders.at_work()
            found = [name for name in self.nodes.names if name in at_work]
            found = [name for name in found if not pair or pair in at_work[name]]
            return self.rng.choice(found) if found else None

        return _wait(look, _SEEN_WITHIN, driver)

    def _add(self, count: int) -> int:
        """Add nodes; returns how many are missing then."""
        for _ in range(count):
            self.nodes.add()
        return 0

    def _lose(self, name: str, *, whole: bool) -> None:
        self.nodes.lose(name, whole)
        self.orders.forget(name)


def _wait(look: Callable[[], str | None], seconds: float, driver: Driver) -> str | None:
    """Look until there is something, for so long, or until the driver ends."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and driver.exit_code() is None:
        if found := look():
            return found
        time.sleep(_POLL)
    return look()
