import numpy as np

from fusion_core.training.byte_cache import ByteCache


def kept(cache: ByteCache) -> list[int]:
    return [number for number in range(9) if number in cache]


def test_what_was_not_used_for_longest_makes_room() -> None:
    cache = ByteCache(30)
    for number in range(3):
        cache.keep(number, np.full(10, number, np.uint8))
    assert np.array_equal(cache.get(0), np.zeros(10))  # type: ignore[arg-type]
    cache.keep(3, np.zeros(10, np.uint8))
    assert (kept(cache), cache.held_bytes) == ([0, 2, 3], 30)
    cache.keep(4, np.zeros(15, np.uint8))
    assert (kept(cache), cache.held_bytes) == ([3, 4], 25)
    assert cache.get(0) is None


def test_what_is_larger_than_all_room_is_not_kept() -> None:
    cache = ByteCache(30)
    cache.keep(0, np.zeros(30, np.uint8))
    cache.keep(1, np.zeros(31, np.uint8))
    assert (kept(cache), cache.held_bytes) == ([0], 30)
    nothing = ByteCache(0)
    nothing.keep(0, np.zeros(1, np.uint8))
    assert kept(nothing) == []
