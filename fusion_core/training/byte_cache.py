"""Keeps arrays that will be wanted again, up to a number of bytes."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray


class ByteCache:
    """Holds the arrays that were used last, by number; for one thread.

    Attributes:
        held_bytes: What they take, ``most_bytes`` at most.
    """

    def __init__(self, most_bytes: int) -> None:
        """Start empty.

        Args:
            most_bytes: A larger array isn't kept at all; 0 keeps none.
        """
        self.held_bytes = 0
        self._most = most_bytes
        self._arrays: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()

    def __contains__(self, number: int) -> bool:
        """Tell whether an array is held."""
        return number in self._arrays

    def get(self, number: int) -> NDArray[np.uint8] | None:
        """Return an array that is held, None where it isn't."""
        if number in self._arrays:
            self._arrays.move_to_end(number)
        return self._arrays.get(number)

    def keep(self, number: int, array: NDArray[np.uint8]) -> None:
        """Hold an array that isn't held yet; those that were not used for longest make room."""
        if array.nbytes > self._most:
            return
        while self.held_bytes + array.nbytes > self._most:
            _, oldest = self._arrays.popitem(last=False)
            self.held_bytes -= oldest.nbytes
        self._arrays[number] = array
        self.held_bytes += array.nbytes
