"""Sets pairs for validation apart: whole sequences, since neighbours of a video are the same scene.

A validation frame beside a training frame says how well a network remembers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fusion_core.errors import SettingsError

_FRAME_NUMBER = re.compile(r"[\s._-]*([0-9]+)$")
_LONGEST_GAP = 25  # frames, about a second of video
_LARGEST_WASTE = 0.2  # of all pairs, that may be left unused for the sake of whole sequences


@dataclass(frozen=True)
class Split:
    """The pairs that are not trained on.

    Attributes:
        validation: Ids of those for validation, in their order.
        unused: Ids of those for neither side: of a sequence that is apart and longer than was asked
            for, or between training and validation in one that had to be cut.
    """

    validation: tuple[str, ...]
    unused: tuple[str, ...] = ()


def split_ids(ids: Sequence[str], validation: int) -> Split:
    """Set ids of pairs apart for validation, sequence by sequence.

    Pairs of one folder whose names differ in a number at their end alone are a sequence. Whole ones
    are set apart, spread evenly over all. If the rest that is asked for is shorter than any
    sequence left, it is taken out of the shortest one, none of which is trained on then; where
    that would leave a fifth of all pairs unused, or no sequence to train on, out of the longest
    one's end, with a tenth of what is before it left out as a gap, and a second of video at most.

    Args:
        ids: All ids, in their order.
        validation: How many to set apart; so many they are.

    Raises:
        SettingsError: Nothing would be left to train on.
    """
    if not 0 <= validation < len(ids):
        raise SettingsError(
            f"{validation} validation pairs of {len(ids)}: at least one pair must be left to "
            "train on. Ask for fewer, or check source and templates."
        )
    if not validation:
        return Split(())
    apart, rest = _whole_sequences(_sequences(ids), validation)
    chosen = {name for sequence in apart for name in sequence}
    missing, unused = validation - len(chosen), set[str]()
    if missing:
        shortest, longest = min(rest, key=len), max(rest, key=len)
        if len(rest) > 1 and len(shortest) - missing <= _LARGEST_WASTE * len(ids):
            own = spread(shortest, missing)
            unused = {*shortest} - {*own}
        else:
            own = longest[-missing:]
            gap = min(_LONGEST_GAP, (len(longest) - missing) // 10)
            unused = {*longest[len(longest) - missing - gap : -missing]}
        chosen |= {*own}
    return Split(*(tuple(name for name in ids if name in names) for names in (chosen, unused)))


def spread(ids: Sequence[str], count: int) -> list[str]:
    """Return ids spread evenly over all of them, as version 0.1.0 set them apart."""
    step = len(ids) / max(count, 1)
    return [ids[int((i + 0.5) * step)] for i in range(count)]


def _sequences(ids: Sequence[str]) -> list[list[str]]:
    """Return the sequences, each in the order of its numbers."""
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in ids:
        folder, _, last = name.rpartition("/")
        number = _FRAME_NUMBER.search(last)
        stem = last[: number.start()] if number else last
        found.setdefault((folder, stem), []).append((int(number[1]) if number else 0, name))
    return [[name for _, name in sorted(frames)] for frames in found.values()]


def _whole_sequences(
    sequences: Sequence[list[str]], validation: int
) -> tuple[list[list[str]], list[list[str]]]:
    """Return whole sequences of at most so many pairs, and the others, one at least."""
    total, count = sum(map(len, sequences)), len(sequences)
    expected = max(1, round(validation * count / total))
    first = (int((i + 0.5) * count / expected) for i in range(expected))
    held: set[int] = set()
    for place in dict.fromkeys([*first, *range(count)]):
        size = len(sequences[place])
        if size <= validation and len(held) < count - 1:
            held.add(place)
            validation -= size
    apart = [sequences[place] for place in sorted(held)]
    return apart, [sequence for place, sequence in enumerate(sequences) if place not in held]
