"""What a run has declared, and how far each of its parts has come: open, committed, published."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from fusion_core.archive.layout import half_paths


@dataclass(frozen=True)
class Left:
    """What is left to do once some parts are published.

    Attributes:
        settled: Intents of which nothing is missing then.
        open: The others.
        halves: Parts of those that are published by then: of halves of a chunk that was split.
    """

    settled: frozenset[str]
    open: tuple[str, ...]
    halves: tuple[str, ...]


class WriteIntents:
    """Keeps account of declared parts by their paths; as small as what is open.

    Attributes:
        waiting: Parts that are committed and not published, in the order in which they came.
    """

    def __init__(self) -> None:
        self.waiting: list[str] = []
        self._open: set[str] = set()
        self._heard: dict[str, set[str]] = {}  # committed parts of what is open

    @property
    def nothing_left(self) -> bool:
        """Whether all that was declared is published."""
        return not self._open and not self.waiting

    def declare(self, parts: Iterable[str]) -> None:
        """Note the intent to write these parts."""
        self._open.update(parts)

    def commit(self, parts: Iterable[str]) -> None:
        """Note that parts were committed, as they are or split; being told twice is no matter."""
        for part in parts:
            intent = self._intent_of(part)
            if intent is not None and part not in self._heard.setdefault(intent, set()):
                self._heard[intent].add(part)
                self.waiting.append(part)

    def after(self, parts: Sequence[str]) -> Left:
        """Return what is left once these parts are published."""
        waiting = set(self.waiting) - set(parts)
        touched = {self._intent_of(part) for part in parts}
        settled = frozenset(
            intent
            for intent in touched
            if intent is not None and _whole(intent, self._heard[intent] - waiting)
        )
        halves = [
            part
            for intent, heard in self._heard.items()
            if intent not in settled
            for part in heard - waiting
        ]
        return Left(settled, tuple(sorted(self._open - settled)), tuple(sorted(halves)))

    def published(self, parts: Collection[str], settled: Iterable[str]) -> None:
        """Note that parts are published.

        Args:
            parts: The parts.
            settled: Of ``after`` them.
        """
        gone = set(parts)
        self.waiting = [part for part in self.waiting if part not in gone]
        for intent in settled:
            self._open.discard(intent)
            self._heard.pop(intent, None)

    def _intent_of(self, part: str) -> str | None:
        """Return the intent that a part belongs to: its own, or that of what was split into it."""
        stem = part.removesuffix(".parquet")
        while f"{stem}.parquet" not in self._open:
            if not stem.endswith(("a", "b")):
                return None
            stem = stem[:-1]
        return f"{stem}.parquet"


def _whole(path: str, heard: Collection[str]) -> bool:
    """Tell whether a part is there: itself, or where its chunk was split, both halves."""
    if path in heard:
        return True
    stem = path.removesuffix(".parquet")
    if not any(one.startswith(stem) for one in heard):
        return False
    return all(_whole(half, heard) for half in half_paths(path))
