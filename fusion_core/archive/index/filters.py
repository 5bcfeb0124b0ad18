"""Filters that tell which row groups of a shard certainly hold none of some pairs.

New pairs may lie anywhere between old ones, as ids without an order do, so that each of ten
thousand has a row group of its own to be looked up in. A filter of 16 bits for each row (Bloom's,
of eight bits a pair) passes over such a row group but for one pair in two thousand.
"""

from __future__ import annotations

import zlib

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_BYTES = 16_384  # for 8,192 pairs
FILTER_BYTES = _BYTES + 4
"""Size of a row group's filter with its checksum; those of a shard lie one behind the other."""

_BITS = np.uint64(8 * _BYTES - 1)
_PROBES = np.arange(8, dtype=np.uint64)
_LONGEST = 1 << 16  # places with a factor of their own; what is behind them counts alike


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Mix the bits of numbers, so that each depends on all (the last step of SplitMix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


_FACTORS = _mixed(np.arange(1, _LONGEST + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))


def hashes(ids: pa.Array) -> NDArray[np.uint64]:
    """Return a number for each pair id, the same on every machine and in every version.

    It is a sum of the bytes times a random factor for each place; letters are never 0.
    """
    binary = ids.cast(pa.large_binary())
    _, offsets, data = binary.buffers()
    ends = np.frombuffer(offsets, np.int64)[binary.offset : binary.offset + len(binary) + 1]
    if not len(binary) or ends[-1] == ends[0]:
        return np.zeros(len(binary), np.uint64)
    octets = np.frombuffer(data, np.uint8)[ends[0] : ends[-1]]
    ends = ends - ends[0]
    lengths = np.diff(ends)
    places = np.arange(len(octets)) - np.repeat(ends[:-1], lengths)
    terms = (octets.astype(np.uint64) + np.uint64(1)) * _FACTORS[np.minimum(places, _LONGEST - 1)]
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    return _mixed(sums[ends[1:]] - sums[ends[:-1]])


def make_filter(numbers: NDArray[np.uint64]) -> bytes:
    """Return the filter of a row group whose pairs have these hashes."""
    bits = np.zeros(8 * _BYTES, bool)
    bits[_bits_of(numbers)] = True
    body = np.packbits(bits).tobytes()
    return body + zlib.crc32(body).to_bytes(4)


def may_hold(row_group: memoryview, numbers: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell for each hash whether the row group of a filter may hold the pair.

    Raises:
        ValueError: The filter is damaged, so that it can't tell.
    """
    body = row_group[:_BYTES]
    if len(row_group) != FILTER_BYTES or zlib.crc32(body) != int.from_bytes(row_group[_BYTES:]):
        raise ValueError("its checksum differs")
    octets = np.frombuffer(body, np.uint8)
    bits = _bits_of(numbers)
    there = octets[bits >> np.uint64(3)] << (bits & np.uint64(7)).astype(np.uint8)
    found: NDArray[np.bool_] = (there & np.uint8(0x80)).all(axis=1)
    return found


def _bits_of(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the places of eight bits for each hash: a start, and an odd step of its own."""
    start, step = numbers[:, None], (numbers >> np.uint64(32) | np.uint64(1))[:, None]
    places: NDArray[np.uint64] = (start + _PROBES * step) & _BITS
    return places
