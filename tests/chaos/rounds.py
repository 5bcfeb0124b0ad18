"""A round: one output, driven until it is complete while one thing after the other goes wrong."""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from driver import Driver
from kinds import BETWEEN_RUNS, LAID, WAITING
from strikes import Note, Strikes

POLL_SECONDS = 0.1
# Longer than any wait of the program that ends by itself, by the settings of these runs.
_STUCK_SECONDS = 180.0
_SPARE_RUNS = 8
# Beside the runs that begin where another one was killed for it.
_LAID_BY_CHANCE = 0.25
_CLEANED_BY_CHANCE = 0.15
_ENDED_BY_CHANCE = 0.5
_OF_NO_TIME = (*WAITING, *BETWEEN_RUNS)
# Most of a short run's time is its start, and most of a fault's harm is done later.
_AFTER_AN_IMAGE = 0.75
# Aimed at, so that a run doesn't end before its faults: seconds for each of them, workers at work.
_SECONDS_A_FAULT = 2.2
_WORKERS = 2.0
_LONGEST_PACE = 1.0
_LONGEST_TRY = 15.0
_TOLD = 1500
EXPECTED = ("NoWorkerError", "UnreachableError", "LeaseLostError", "StorageError")
"""What may end a run here, to be gone on with by the next: places that all failed, a lost store."""
# A dead run's last heartbeat may arrive late, and then it seems to live.
_EXPECTED_OF_CLEANING = (*EXPECTED, "OutputBusyError")


@dataclass(frozen=True)
class Moment:
    """When a fault is due: some time after it was drawn, or after the next image appeared."""

    after_image: bool
    delay: float

    @classmethod
    def draw(cls, rng: random.Random) -> Moment:
        """Draw one; most hang on an image, so that they hit a run that is at work."""
        if rng.random() < _AFTER_AN_IMAGE:
            return cls(True, rng.uniform(0.0, 0.6))
        return cls(False, rng.uniform(0.2, 2.5))


@dataclass
class RoundResult:
    """What happened in a round."""

    faults: list[Note] = field(default_factory=list)
    driver_runs: int = 0
    cleanings: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    driver_failures: list[dict[str, Any]] = field(default_factory=list)
    ended_frozen: int = 0
    left_frozen: list[Note] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class Round:
    """Drives one output.

    Args:
        number: Of the round.
        start: Starts a command, ``run`` or ``clean``; the number is that of it within the round.
        images: Counts the images that there are, also while the store is away.
        undone: Returns the pairs that have no successful row, once no run is at work.
        pairs: Number of pairs in the archive.
        strikes: Makes the faults.
        tell: Shows a line of progress.
    """

    def __init__(
        self,
        number: int,
        start: Callable[[str, int], Driver],
        images: Callable[[], int],
        undone: Callable[[], list[str]],
        *,
        pairs: int,
        strikes: Strikes,
        tell: Callable[[str], None],
    ):
        self._number = number
        self._start, self._images, self._undone = start, images, undone
        self._pairs, self._strikes, self._tell = pairs, strikes, tell
        self._rng = strikes.rng
        self._began = self._tried_since = time.monotonic()
        self._prepared = 0  # runs that were killed so that the next one has something to do
        self._to_lay = self._to_clean = False
        self.result = RoundResult()

    def run(self, hand: list[str]) -> None:
        """Drive the output to its end, and play the cards of a hand meanwhile.

        Args:
            hand: Kinds of faults; those are taken out of it that were made.
        """
        result = self.result
        while result.driver_runs < self._most_runs(hand):
            if self._to_clean or (result.driver_runs and self._rng.random() < _CLEANED_BY_CHANCE):
                self._to_clean = False
                self.clean(hand)
            if "sick" in hand:
                self._strikes.make_sick()
            if self._to_lay or (result.driver_runs and self._rng.random() < _LAID_BY_CHANCE):
                self._strikes.lay([card for card in hand if card in LAID])
                self._to_lay = False
            elif not set(hand) - {"ending"} or self._rng.random() < _ENDED_BY_CHANCE:
                self._strikes.lay([card for card in hand if card == "ending"])
            result.driver_runs += 1
            driver = self._start("run", result.driver_runs)
            try:
                ended = self._watch(driver, hand)
            finally:
                if driver.exit_code() is None:
                    driver.kill()
                self._heal(hand, driver)
            if ended and not self._undone():
                return
        result.violations.append(
            f"round {self._number}: not complete after {result.driver_runs} runs of the driver"
        )

    def clean(self, hand: list[str]) -> None:
        """Clean the output, and have that end in the middle if a card of the hand says so.

        Args:
            hand: Kinds of faults; that one is taken out of it, if it was made.
        """
        self._strikes.lay([card for card in hand if card == "cleaning"])
        self.result.cleanings += 1
        cleaner = self._start("clean", self.result.cleanings)
        try:
            code = cleaner.wait(_STUCK_SECONDS)
            if code == -signal.SIGKILL and self._strikes.laid_is_met():
                self.result.endings["killed"] += 1
            else:
                self._note_end(cleaner, code, _EXPECTED_OF_CLEANING)
        finally:
            cleaner.kill()
            self._heal(hand, cleaner)

    def _most_runs(self, hand: list[str]) -> int:
        return len(hand) + len(self.result.faults) + self._prepared + _SPARE_RUNS

    def _watch(self, driver: Driver, hand: list[str]) -> bool:
        """Make faults while a driver runs; return whether it ended well."""
        moment, armed, image_at = Moment.draw(self._rng), time.monotonic(), 0.0
        newest, moved = self._images(), time.monotonic()
        while (code := driver.exit_code()) is None:
            self._set_pace(hand)
            time.sleep(POLL_SECONDS)
            now = time.monotonic()
            if (count := self._images()) != newest:
                newest, moved = count, now
                image_at = image_at or now
            if now - moved > _STUCK_SECONDS:
                self._violates(f"no image for {now - moved:.0f} s, {newest} so far", driver)
                return False
            begin = image_at if moment.after_image else armed
            if begin and now >= begin + moment.delay and self._strike(driver, hand):
                if driver.exit_code() == -signal.SIGKILL:
                    self.result.endings["killed"] += 1
                    return False
                moment, armed, image_at = Moment.draw(self._rng), time.monotonic(), 0.0
                moved = max(moved, armed - _STUCK_SECONDS / 2)
        if code == -signal.SIGKILL and self._strikes.laid_is_met():
            self.result.endings["killed"] += 1
            return False
        self._note_end(driver, code)
        return code == 0

    def _set_pace(self, hand: list[str]) -> None:
        """Have pairs take so long that there are some left for all that is to go wrong."""
        cards = sum(card not in _OF_NO_TIME for card in hand)
        left = max(self._pairs - self._images(), 1)
        pace = min(cards * _SECONDS_A_FAULT * _WORKERS / left, _LONGEST_PACE)
        self._strikes.orders.set_pace(pace)

    def _strike(self, driver: Driver, hand: list[str]) -> bool:
        """Play the next card; return False where it can't be played now, and is kept for later."""
        card = next((card for card in hand if card not in WAITING), None)
        if card is None:
            return False
        if card in BETWEEN_RUNS:  # it takes what begins where a run was killed
            driver.kill()
            self._prepared += 1
            self._to_lay, self._to_clean = card in LAID, card not in LAID
            return True
        begun = time.monotonic()
        if made := self._strikes.make(card, driver):
            hand.remove(card)
            self._note(made, driver, begun)
            self._tried_since = time.monotonic()
            return True
        if time.monotonic() - self._tried_since > _LONGEST_TRY:
            hand.remove(card)
            hand.append(card)
            self._tried_since = time.monotonic()
        return False

    def _heal(self, hand: list[str], driver: Driver) -> None:
        for met in [*self._strikes.heal(), *self._strikes.take_back()]:
            hand.remove(met["kind"])
            self._note([met], driver, time.monotonic())
        ended, left = self._strikes.end_frozen()
        self.result.ended_frozen += ended
        self.result.left_frozen += left
        self._strikes.orders.clear_groups()

    def _note(self, made: list[Note], driver: Driver, begun: float) -> None:
        when = {
            "round": self._number,
            "second": round(begun - self._began, 2),
            "driver_second": round(begun - driver.began, 2),
            "images": self._images(),
        }
        self.result.faults += [{**when, **note} for note in made]
        self._tell(f"{made[0]['kind']} at {when['images']} images")

    def _note_end(self, driver: Driver, code: int, expected: Collection[str] = EXPECTED) -> None:
        """Note how a command ended that nobody killed."""
        printed = driver.tail()
        found = re.findall(r"^fuse-archive: (\w+):", printed, re.MULTILINE)
        ending = "well" if code == 0 else (found[-1] if found else f"exit code {code}")
        self.result.endings[ending] += 1
        if code == 0:
            return
        self._tell(f"the driver ended by itself: {ending}")
        if ending not in expected:
            self._violates(f"the driver ended by itself, {ending}", driver)
        now, life = time.monotonic() - self._began, time.monotonic() - driver.began
        failure = {
            "round": self._number,
            "ending": ending,
            "lived": round(life, 2),
            "images": self._images(),
            "seconds_after": ", ".join(
                f"{one['kind']} {now - one['second']:.1f}"
                for one in self.result.faults
                if now - one["second"] <= life
            ),
            "printed": printed[max(printed.rfind("fuse-archive: "), 0) :][:_TOLD],
        }
        self.result.driver_failures.append(failure)

    def _violates(self, what: str, driver: Driver) -> None:
        self.result.violations.append(
            f"round {self._number}: {what}; expected a run that goes on. It printed: "
            f"{driver.tail()}"
        )
