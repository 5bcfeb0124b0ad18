"""A round: one output, driven until it is complete while processes are killed at drawn moments."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from driver import Driver
from persistent_s3 import PersistentS3
from ray_nodes import RayNodes, kill

KINDS = ("actor", "raylet", "driver", "s3")
POLL_SECONDS = 0.02
LONGEST_OUTAGE = 2.0
# Longer than any wait of the program that ends by itself, its patience for a store included.
_STUCK_SECONDS = 300.0
_SPARE_RUNS = 8
# Most of a short run's time is its start, and most of a kill's harm is done later.
_AFTER_A_PART = 0.7
_ACTOR = "FusionActor"


@dataclass(frozen=True)
class Moment:
    """When a kill is due: some time after it was drawn, or after the next part appeared."""

    after_part: bool
    delay: float

    @classmethod
    def draw(cls, rng: random.Random) -> Moment:
        """Draw one; most hang on a part, so that they hit a run that is at work."""
        if rng.random() < _AFTER_A_PART:
            return cls(True, rng.uniform(0.0, 0.6))
        return cls(False, rng.uniform(0.2, 8.0))


class Deck:
    """Draws kinds of kills, each equally often: all four in random order, and again."""

    def __init__(self, rng: random.Random):
        self._rng = rng
        self._cards: list[str] = []

    @property
    def top(self) -> str:
        """The next kind, which stays until it is taken."""
        if not self._cards:
            self._cards = list(KINDS)
            self._rng.shuffle(self._cards)
        return self._cards[-1]

    def take(self) -> str:
        """Take the next kind."""
        kind = self.top
        self._cards.pop()
        return kind


@dataclass
class RoundResult:
    """What happened in a round."""

    kills: list[dict[str, Any]] = field(default_factory=list)
    driver_runs: int = 0
    driver_failures: list[dict[str, Any]] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Round:
    """Runs the driver again and again until it ends well, and kills meanwhile.

    Args:
        number: Of the round.
        start: Starts the driver; its argument is the number of the run within the round.
        parts: Counts the parts that are committed, also while the store is away.
        nodes: The cluster.
        store: The S3 server.
        deck: What to kill next.
        rng: Draws moments and victims.
        tell: Shows a line of progress.
    """

    def __init__(
        self,
        number: int,
        start: Callable[[int], Driver],
        parts: Callable[[], int],
        nodes: RayNodes,
        store: PersistentS3,
        deck: Deck,
        rng: random.Random,
        tell: Callable[[str], None],
    ):
        self._number = number
        self._start = start
        self._parts = parts
        self._nodes = nodes
        self._store = store
        self._deck = deck
        self._rng = rng
        self._tell = tell
        self._result = RoundResult()
        self._began = time.monotonic()

    def run(self, kills: int) -> RoundResult:
        """Drive the output to its end, with at most so many kills."""
        result = self._result
        while result.driver_runs < kills + _SPARE_RUNS:
            result.driver_runs += 1
            driver = self._start(result.driver_runs)
            try:
                ended = self._watch(driver, kills)
            finally:
                if driver.exit_code() is None:
                    driver.kill()
            if ended:
                return result
        result.violations.append(
            f"round {self._number}: not complete after {result.driver_runs} runs of the driver"
        )
        return result

    def _watch(self, driver: Driver, kills: int) -> bool:
        """Kill while a driver runs; return whether it ended well."""
        moment, armed, parts = self._arm()
        newest, moved, part_at = parts, time.monotonic(), 0.0
        while (code := driver.exit_code()) is None:
            time.sleep(POLL_SECONDS)
            now = time.monotonic()
            if (count := self._parts()) != newest:
                newest, moved = count, now
                part_at = part_at or now
            if now - moved > _STUCK_SECONDS:
                self._result.violations.append(
                    f"round {self._number}: no part for {now - moved:.0f} s, {newest} so far; the "
                    f"driver was ended. It printed: {driver.tail()}"
                )
                return False
            begin = part_at if moment.after_part else armed
            due = len(self._result.kills) < kills and begin and now >= begin + moment.delay
            if due and self._strike(driver):
                if driver.exit_code() is not None:
                    return False
                moment, armed, newest = self._arm()
                part_at, moved = 0.0, time.monotonic()
        if code != 0:
            self._note_failure(driver, code)
        return code == 0

    def _arm(self) -> tuple[Moment, float, int]:
        return Moment.draw(self._rng), time.monotonic(), self._parts()

    def _strike(self, driver: Driver) -> bool:
        """Kill what is on top of the deck; return False where there is none of it now."""
        kind = self._deck.top
        actors = self._nodes.actors(_ACTOR) if kind == "actor" else []
        if kind == "actor" and not actors:
            return False
        begun = time.monotonic()
        note: dict[str, Any] = {
            "round": self._number,
            "kind": self._deck.take(),
            "second": round(begun - self._began, 2),
            "driver_second": round(begun - driver.began, 2),
            "parts": self._parts(),
        }
        if kind == "actor":
            kill([self._rng.choice(actors)])
        elif kind == "raylet":
            note["whole_node"] = self._rng.random() < 0.5
            self._nodes.lose(self._rng.randrange(self._nodes.count), note["whole_node"])
            self._nodes.add()
        elif kind == "driver":
            driver.kill()
        else:
            note["outage"] = round(self._rng.uniform(0.1, LONGEST_OUTAGE), 2)
            self._store.kill()
            time.sleep(note["outage"])
            self._store.start()
        self._result.kills.append(note)
        self._tell(f"killed {kind} at {note['parts']} parts")
        return True

    def _note_failure(self, driver: Driver, code: int) -> None:
        now = time.monotonic() - self._began
        life = time.monotonic() - driver.began
        failure = {
            "round": self._number,
            "exit_code": code,
            "lived": round(life, 2),
            "parts": self._parts(),
            "kills_before": [
                {"kind": one["kind"], "seconds_before": round(now - one["second"], 2)}
                for one in self._result.kills
                if now - one["second"] <= life
            ],
            "printed": driver.tail(),
        }
        self._result.driver_failures.append(failure)
        self._tell(f"the driver failed by itself with exit code {code}")
