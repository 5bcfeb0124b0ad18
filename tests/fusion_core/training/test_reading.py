import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import pair_refs, picture_pair, png, write_pairs

from fusion_core.archive.plan import PairRef
from fusion_core.errors import (
    DecodeError,
    ReadError,
    SizeMismatchError,
    SourceChangedError,
    TooManyFailuresError,
)
from fusion_core.settings.run import PairSettings
from fusion_core.storage.store import Storage
from fusion_core.training.data import CropSource
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.read_ahead import LuminancePair
from fusion_core.training.reading import GoodPairs, read_luminances

Read = Callable[[PairRef], LuminancePair]


def refs(count: int) -> list[PairRef]:
    return [PairRef(f"p{k}", "", 0, "", "", 0, "") for k in range(count)]


def drawn(ref: PairRef, size: tuple[int, int] = (24, 32)) -> LuminancePair:
    ir, vi = picture_pair(int(ref.pair_id[1:]), size)
    return ir, vi[..., 1]


class Corrupt:
    """Pairs of which some can't be decoded; tells which were read."""

    def __init__(self, *numbers: int, error: Exception | None = None) -> None:
        self.names = {f"p{number}" for number in numbers}
        self.error = error or DecodeError("is cut off")
        self.read: list[str] = []

    def __call__(self, ref: PairRef) -> LuminancePair:
        self.read.append(ref.pair_id)
        if ref.pair_id in self.names:
            raise self.error
        return drawn(ref)


@contextmanager
def pairs(
    read: Read, count: int = 6, *, most_bytes: int = 1 << 20, max_failed: float = 0.5
) -> Iterator[GoodPairs]:
    opened = GoodPairs(refs(count), read, threads=2, most_bytes=most_bytes, max_failed=max_failed)
    with closing(opened):
        yield opened


def numbers(found: Sequence[LuminancePair] | GoodPairs) -> list[int]:
    """Tell which pairs these are."""
    known = {drawn(ref)[0].tobytes(): k for k, ref in enumerate(refs(9))}
    return [known[ir.tobytes()] for ir, _ in found]


def test_a_pair_is_read_as_the_luminance_that_fusing_sees(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["a"])
    (ref,) = pair_refs(tmp_path, ["a"])
    ir, vi = read_luminances(ref, Storage(str(tmp_path)), PairSettings(), 1)
    infrared, visible = picture_pair(int.from_bytes(b"a"))
    assert np.array_equal(ir, infrared)
    assert np.array_equal(vi, np.rint(visible @ [0.299, 0.587, 0.114]).astype(np.uint8))


def test_what_is_corrupt_in_a_pair_is_said(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["a", "b"])
    (tmp_path / "ir/a.png").write_bytes(b"text")
    (tmp_path / "ir/b.png").write_bytes(png(np.zeros((9, 9), np.uint8)))
    storage, (a, b) = Storage(str(tmp_path)), pair_refs(tmp_path, ["a", "b"])
    with pytest.raises(DecodeError, match=r"ir/a\.png"):
        read_luminances(a, storage, PairSettings(), 1)
    with pytest.raises(SizeMismatchError, match="infrared is 9x9"):
        read_luminances(b, storage, PairSettings(), 1)
    ir, vi = read_luminances(b, storage, PairSettings(size_mismatch="resize_ir"), 1)
    assert ir.shape == vi.shape


def test_the_next_good_pair_stands_for_a_corrupt_one() -> None:
    with pairs(Corrupt(1, 2, 5)) as found:
        assert numbers([found[k] for k in range(6)]) == [0, 3, 3, 3, 4, 0]
        left = found.newly_left_out()
        assert [(one.pair_id, one.reason) for one in left] == [
            (name, "is cut off") for name in ("p1", "p2", "p5")
        ]
        assert found.newly_left_out() == []


def test_what_stands_for_a_corrupt_pair_depends_on_nothing_found_before() -> None:
    wanted = [4, 1, 5, 2, 0, 1, 3]
    expected = {}
    for number in set(wanted):
        with pairs(Corrupt(1, 2, 5)) as fresh:
            (expected[number],) = numbers([fresh[number]])
    with pairs(Corrupt(1, 2, 5)) as found:
        found.expect(wanted)
        assert numbers([found[k] for k in wanted]) == [expected[k] for k in wanted]


def test_a_corrupt_pair_is_read_no_more_than_it_takes_to_know_it() -> None:
    read = Corrupt(1)
    with pairs(read) as found:
        for _ in range(5):
            found.expect([1, 2])
            found[1]
    assert read.read.count("p1") <= 2


def test_going_through_all_gives_each_good_pair_once() -> None:
    with pairs(Corrupt(0, 3)) as found:
        for _ in range(2):
            assert numbers(found) == [1, 2, 4, 5]
        assert [one.pair_id for one in found.newly_left_out()] == ["p0", "p3"]


def test_a_pair_that_was_not_read_for_another_reason_stops_it() -> None:
    for error in (ReadError("access denied"), SourceChangedError("is gone")):
        with (
            pairs(Corrupt(1, error=error)) as found,
            pytest.raises(type(error), match=f"pair p1 can't be trained on: {error}"),
        ):
            found[1]


@pytest.mark.parametrize(("max_failed", "allowed"), [(0.5, 3), (0.2, 1), (0, 0)])
def test_more_corrupt_pairs_than_allowed_are_an_error(max_failed: float, allowed: int) -> None:
    corrupt = range(allowed + 1)
    with pairs(Corrupt(*corrupt[:-1]), max_failed=max_failed) as found:
        assert len(numbers(found)) == 6 - allowed
    told = rf"{allowed + 1} of the \d pairs read so far, of 6, .*{max_failed:.0%} of 6.*p0: is cut"
    with (
        pairs(Corrupt(*corrupt), max_failed=max_failed) as found,
        pytest.raises(TooManyFailuresError, match=told),
    ):
        numbers(found)


def test_a_few_corrupt_ones_among_the_first_say_nothing_of_a_large_archive() -> None:
    corrupt = Corrupt(*range(6), *range(60, 80))
    with pairs(corrupt, 1000, max_failed=0.1) as found:
        found[0]
        assert corrupt.read[-1] == "p6"
        with pytest.raises(TooManyFailuresError, match="7 of the 8 pairs read so far, of 1000"):
            found[60]


def test_one_good_pair_is_needed_whatever_is_allowed() -> None:
    with pairs(Corrupt(0, 1, 2), 3, max_failed=1) as found, pytest.raises(TooManyFailuresError):
        found[1]


def test_the_first_batch_reads_no_more_than_it_needs_and_what_is_read_ahead() -> None:
    read = Corrupt()
    with pairs(read, 100_000) as found:
        crops = CropSource(found, 16, LossConfig())
        found.expect(number for step in range(9) for number in crops.unread(4, 1, step))
        crops.random_batch(4, seed=1, step=0)
        assert 4 <= len(read.read) <= 4 + found.most_ahead


def test_many_pairs_are_trained_on_in_bounded_memory() -> None:
    """200 pairs of 24 MB in all; one of them takes 120 kB as a stack, and 80 kB before."""
    bound, pair = 1 << 20, 80_000

    def batch_of(found: GoodPairs, crops: CropSource, step: int) -> NDArray[np.float32]:
        found.expect(number for k in range(step, step + 3) for number in crops.unread(4, 1, k))
        return crops.random_batch(4, 1, step).ir.numpy()

    def read(ref: PairRef) -> LuminancePair:
        number = int(ref.pair_id[1:])
        side = np.arange(number, number + 200, dtype=np.uint8)
        return np.tile(side, (200, 1)), np.tile(side[:, None], (1, 200))

    with pairs(read, 200, most_bytes=bound // 4) as found:
        crops = CropSource(found, 32, LossConfig(), bound // 4 * 3)
        batch_of(found, crops, 0)
        tracemalloc.start()
        for step in range(60):
            batch_of(found, crops, step)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    # What two threads are at comes on top, the pair that is cut, and a batch.
    assert bound // 2 < peak < bound + 2 * pair + 3 * pair + 200_000


def test_equal_batches_come_of_any_memory() -> None:
    everything = [drawn(ref, (40, 60)) for ref in refs(9)]
    held = CropSource(everything, 24, LossConfig())

    def read(ref: PairRef) -> LuminancePair:
        return drawn(ref, (40, 60))

    for most_bytes in (0, 6000, 1 << 20):
        with pairs(read, 9, most_bytes=most_bytes) as found:
            crops = CropSource(found, 24, LossConfig(), most_bytes)
            for step in range(5):
                found.expect(crops.unread(4, 7, step) + crops.unread(4, 7, step + 1))
                one, other = (each.random_batch(4, 7, step) for each in (held, crops))
                assert torch.equal(one.ir, other.ir)
                assert torch.equal(one.vi, other.vi)
