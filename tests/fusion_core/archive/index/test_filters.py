"""A filter never passes over a pair that is there, and seldom lets one through that isn't."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.archive.index.filters import hashes, make_filter, may_hold

IDS = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=20)


@given(there=IDS, asked=IDS, cut=st.integers(0, 20))
def test_no_pair_that_is_there_is_passed_over(there: list[str], asked: list[str], cut: int) -> None:
    made = memoryview(make_filter(hashes(pa.array(there, pa.string()))))
    both = pa.array(asked + there, pa.large_string()).slice(min(cut, len(asked)))
    found = may_hold(made, hashes(both))[len(both) - len(there) :]
    assert found.all()


@given(ids=IDS)
def test_a_hash_depends_on_the_id_alone(ids: list[str]) -> None:
    alone = [hashes(pa.array([one]))[0] for one in ids]
    assert hashes(pa.array(ids, pa.string())).tolist() == alone
    assert len({*alone}) == len({*ids})


def test_hashes_are_those_that_stored_filters_were_made_of() -> None:
    found = hashes(pa.array(["", "camera_042/2026/11/20/frame_000123456", "é"]))
    assert found.tolist() == [0, 17242049083016731465, 8775962665872075964]


def test_of_pairs_that_are_not_there_one_in_two_thousand_passes() -> None:
    there = pa.array([f"camera_001/frame_{k:09}" for k in range(8192)])
    others = pa.array([f"camera_001/frame_{k:09}" for k in range(8192, 108_192)])
    made = memoryview(make_filter(hashes(there)))
    assert may_hold(made, hashes(there)).all()
    assert may_hold(made, hashes(others)).mean() < 1 / 1000
