"""What can go wrong, how often each kind of it does, and in which order."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping

SHARES: Mapping[str, int] = {
    "actor": 100,  # SIGKILL of a worker's process
    "s3": 120,  # SIGKILL of the store, which comes back a moment later
    "gpu": 100,  # a GPU fault, and whatever the process does after it fails of it too
    "memory": 95,  # the kernel ends a worker that takes more memory than it may have
    "hang": 90,  # the network never returns
    "frozen": 60,  # SIGSTOP of a worker's process
    "raylet": 53,  # SIGKILL of a node, or of its raylet alone
    "preempted": 42,  # a node is drained and then lost, three times in a row for the same chunk
    "shrink": 40,  # all nodes but one are lost, and come back
    "driver": 40,  # SIGKILL of the run itself
    "sick": 40,  # a node that can't start workers, for all of a run
    "publishing": 60,  # SIGKILL of the run around a record of publication, or behind its file
    "merging": 40,  # SIGKILL of the run while it brings the index up to date, or merges shards
    "takeover": 40,  # SIGKILL of the run while it closes and publishes what a dead one left
    "ending": 40,  # SIGKILL of the run once its work is done: around merged shards, at its release
    "cleaning": 40,  # SIGKILL of ``clean`` between two runs, while it removes what nobody needs
}
"""Of a thousand: more of what costs seconds than of what costs new nodes, or a new run."""

KINDS = tuple(SHARES)

LAID = ("merging", "takeover")
"""Kinds that a run meets at its start, by an order that was there before."""

WAITING = ("sick", "ending")
"""Kinds that are there before a run, and that it meets some time, or not at all."""

BETWEEN_RUNS = (*LAID, "cleaning")
"""Kinds for which the run that is at work is killed."""

POINTS: Mapping[str, tuple[str, ...]] = {
    "publishing": ("before_record", "after_record", "after_file"),
    "merging": ("before_shard", "after_shard", "before_state", "after_state"),
    "takeover": (
        *("before_ending", "after_ending", "before_promised", "after_promised"),
        *("before_tombstone", "after_tombstone", "before_record", "after_record", "after_file"),
    ),
    "ending": ("before_merging", "after_shard", "after_state", "before_release"),
    "cleaning": ("before_removal", "after_removal"),
}
"""Where a driver or a ``clean`` ends, for the kinds that are ordered from it."""

IN_A_ROW = 3
"""Preemptions that one card stands for."""


def counts(total: int) -> Counter[str]:
    """Return how many of each kind make a total: one of each, and the rest by their shares."""
    found = Counter(dict.fromkeys(KINDS, 1)) + Counter(preempted=IN_A_ROW - 1)
    rest = max(total - found.total(), 0)
    found += Counter({kind: share * rest // 1000 for kind, share in SHARES.items()})
    found["preempted"] -= found["preempted"] % IN_A_ROW
    found["s3"] += max(total - found.total(), 0)
    return found


class Deck:
    """All faults that there are to be, shuffled.

    Args:
        rng: Shuffles.
        total: How many.
    """

    def __init__(self, rng: random.Random, total: int):
        each = counts(total)
        each["preempted"] //= IN_A_ROW
        self._rng = rng
        self._cards = list(each.elements())
        rng.shuffle(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def deal(self, count: int) -> list[str]:
        """Take cards off the top."""
        hand, self._cards = self._cards[:count], self._cards[count:]
        return hand

    def put_back(self, hand: Collection[str]) -> None:
        """Take back cards that could not be played, anywhere between the others."""
        for card in hand:
            self._cards.insert(self._rng.randint(0, len(self._cards)), card)
