"""Reads pairs when they are wanted, and leaves those out that can't be trained on.

Which pairs those are lies in their bytes alone, and so does what takes their place. So equal seeds
give equal weights with corrupt pairs too, whichever process finds them, and when.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from fusion_core.archive.plan import PairRef
from fusion_core.errors import PairError, TooManyFailuresError
from fusion_core.jobs.loading import load_pair
from fusion_core.jobs.verdict import cause_of
from fusion_core.settings.run import PairSettings
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.storage.store import Storage
from fusion_core.training.read_ahead import LuminancePair, ReadAhead
from fusion_core.training.record import LeftOut

_SAMPLE = 64  # pairs of which some may be corrupt before a fraction means anything
_LISTED = 3


class Pairs(Protocol):
    """Pairs to train on by number; a list of them is one."""

    def __len__(self) -> int:
        """Return how many there are."""
        ...

    def __getitem__(self, number: int, /) -> LuminancePair:
        """Return a pair."""
        ...

    def __iter__(self) -> Iterator[LuminancePair]:
        """Go through all of them, one at a time."""
        ...


def read_luminances(
    pair: PairRef, source: Storage, settings: PairSettings, max_megapixels: float
) -> LuminancePair:
    """Read infrared and visible luminance of a pair, each (H, W) rounded to 8 bits.

    Raises:
        PairError: Of the kind that stopped it.
        UnreachableError: The store gives no answer.
    """
    loaded = load_pair(
        pair,
        source,
        settings=ScalingSettings(size_mismatch=settings.size_mismatch),
        max_megapixels=max_megapixels,
    )
    ir, vi = (np.rint(255 * image).astype(np.uint8) for image in loaded.luminances())
    return ir, vi


class GoodPairs:
    """The pairs of an archive without those that are corrupt, which are found as they are read.

    By its number, a corrupt pair is the next good one after it, the first one after the last.
    Going through all gives each good pair once.

    Args:
        refs: Which pairs.
        read: Reads one; called in several threads at once.
        threads: How many read.
        most_bytes: What may be read before it is asked for.
        max_failed: Largest fraction of the pairs read so far that may be corrupt.
    """

    def __init__(
        self,
        refs: Sequence[PairRef],
        read: Callable[[PairRef], LuminancePair],
        *,
        threads: int,
        most_bytes: int,
        max_failed: float,
    ) -> None:
        self._refs = refs
        self._max_failed = max_failed
        self._good: set[int] = set()
        self._corrupt: dict[int, LeftOut] = {}
        self._untold: list[LeftOut] = []
        self._ahead = ReadAhead(
            lambda number: read(refs[number]), threads=threads, most_bytes=most_bytes
        )

    def __len__(self) -> int:
        """Return how many pairs there are, the corrupt ones among them."""
        return len(self._refs)

    def __getitem__(self, number: int) -> LuminancePair:
        """Return the pair of a number, or the next good one after it.

        Raises:
            TooManyFailuresError: More than the largest fraction are corrupt.
            PairError: It can't be read, which is no fault of its bytes; its id is named.
            UnreachableError: The store gives no answer.
        """
        pair = None
        while pair is None:
            number = self._stand_in(number)
            pair = self._read(number)
        return pair

    def __iter__(self) -> Iterator[LuminancePair]:
        """Read all of them, in order; raises as reading one does."""
        for number in range(len(self)):
            self.expect(range(number, min(number + self._ahead.most_pairs, len(self))))
            pair = None if number in self._corrupt else self._read(number)
            if pair is not None:
                yield pair

    def expect(self, numbers: Iterable[int]) -> None:
        """Begin to read the pairs of these numbers, which are wanted next."""
        self._ahead.expect(map(self._stand_in, numbers))

    @property
    def most_ahead(self) -> int:
        """How many pairs are read ahead of time at most."""
        return self._ahead.most_pairs

    def newly_left_out(self) -> list[LeftOut]:
        """Return the corrupt pairs that were found since the last call, in order."""
        untold, self._untold = self._untold, []
        return untold

    def close(self) -> None:
        """Read no more."""
        self._ahead.close()

    def _stand_in(self, number: int) -> int:
        """Return the number of the first pair from this one on that isn't known to be corrupt."""
        while number in self._corrupt:
            number = (number + 1) % len(self)
        return number

    def _read(self, number: int) -> LuminancePair | None:
        """Read a pair, and return None where it is found to be corrupt."""
        try:
            pair = self._ahead.take(number)
        except PairError as error:
            pair_id = self._refs[number].pair_id
            if cause_of(error) != "pair":
                raise type(error)(f"pair {pair_id} can't be trained on: {error}") from error
            left_out = LeftOut(pair_id=pair_id, reason=f"{error}")
            self._corrupt[number] = left_out
            self._untold.append(left_out)
            self._check_share()
            return None
        self._good.add(number)
        return pair

    def _check_share(self) -> None:
        corrupt, read = len(self._corrupt), len(self._corrupt) + len(self._good)
        sample = max(read, min(_SAMPLE, len(self)))
        if corrupt <= self._max_failed * sample and corrupt < len(self):
            return
        first = list(self._corrupt.values())[:_LISTED]
        told = "; ".join(f"{one.pair_id}: {one.reason}" for one in first)
        raise TooManyFailuresError(
            f"{corrupt} of the {read} pairs read so far, of {len(self)}, can't be trained on; "
            f"max_failed allows {self._max_failed:.0%} of {sample}. The first: {told}. Check "
            "templates and files, or raise max_failed; one good pair is needed at least"
        )
