"""Validation is on other sequences than training, as far as an archive has several."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.errors import SettingsError
from fusion_core.training.split import split_ids, spread


def frames(sequence: str, count: int) -> list[str]:
    return [f"{sequence}{k:06}" for k in range(count)]


def sequences_of(ids: tuple[str, ...] | list[str]) -> set[str]:
    return {re.sub("[0-9]+$", "", name) for name in ids}


def test_single_images_are_as_many_as_stated_and_spread() -> None:
    ids = [f"{i:03}/night" for i in range(171)]
    split = split_ids(ids, 21)
    assert (len(set(split.validation)), split.unused) == (21, ())
    assert {int(b[:3]) - int(a[:3]) for a, b in itertools.pairwise(split.validation)} == {8, 9}
    assert list(split.validation) == spread(ids, 21), "as it was before sequences were told apart"


def test_no_neighbour_of_a_training_frame_is_a_validation_frame() -> None:
    ids = [*frames("0111/", 151), *frames("0113/", 560), *frames("0117/", 407)]
    split = split_ids(ids, 20)
    assert len(split.validation) == 20
    assert sequences_of(split.validation) == {"0111/"}
    assert {*split.validation, *split.unused} == {*frames("0111/", 151)}
    assert split_ids(ids, 151).validation == tuple(frames("0111/", 151))
    assert split_ids(ids, 151).unused == ()


@pytest.mark.parametrize(
    "name", ["a/{}", "a/frame_{}", "frame-{}", "x.{}", "{}", "clip {}", "cam2_{}"]
)
def test_frames_of_one_sequence_are_told_by_folder_and_name(name: str) -> None:
    ids = [name.format(f"{k:03}") for k in range(50)] + [f"other{k}/x" for k in range(50)]
    apart = {*split_ids(ids, 50).validation}
    assert apart in ({*ids[:50]}, {*ids[50:]})


def test_the_longest_end_of_one_sequence_is_taken_with_a_gap_before_it() -> None:
    ids = frames("walk_", 1000)
    split = split_ids(ids, 100)
    assert split.validation == tuple(ids[900:])
    assert split.unused == tuple(ids[875:900])
    small = split_ids(frames("walk_", 5), 2)
    assert (small.validation, small.unused) == (("walk_000003", "walk_000004"), ())
    unpadded = sorted(f"f{k}" for k in range(30))
    assert {*split_ids(unpadded, 3).validation} == {"f27", "f28", "f29"}


def test_a_sequence_is_cut_rather_than_half_of_all_pairs_left_unused() -> None:
    ids = [*frames("a/", 500), *frames("b/", 560)]
    split = split_ids(ids, 20)
    assert split.validation == tuple(ids[-20:])
    assert split.unused == tuple(ids[-45:-20])


def test_impossible_requests_are_refused() -> None:
    assert split_ids(["a"], 0).validation == ()
    with pytest.raises(
        SettingsError, match="171 validation pairs of 171: at least one pair must be"
    ):
        split_ids(frames("a", 171), 171)
    with pytest.raises(SettingsError, match="0 validation pairs of 0"):
        split_ids([], 0)
    with pytest.raises(SettingsError, match="-1 validation"):
        split_ids(["a"], -1)


@settings(max_examples=100)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    data=st.data(),
    mixed=st.booleans(),
)
def test_any_archive_is_split_so_that_training_is_left(
    lengths: list[int], data: st.DataObject, mixed: bool
) -> None:
    ids = [name for k, count in enumerate(lengths) for name in frames(f"s{k}/", count)]
    if mixed:
        ids = data.draw(st.permutations(ids))
    count = data.draw(st.integers(0, len(ids) - 1))
    split = split_ids(ids, count)
    assert split == split_ids(ids, count)
    assert len({*split.validation}) == len(split.validation) == count
    assert [*split.validation] == [name for name in ids if name in {*split.validation}]
    assert not {*split.validation} & {*split.unused}
    training = {*ids} - {*split.validation} - {*split.unused}
    assert training
    both = sequences_of([*training]) & sequences_of(split.validation)
    assert len(both) <= 1, "no more than one sequence is cut"
    for sequence in both:
        last = max(name for name in training if name.startswith(sequence))
        own = [name for name in split.validation if name.startswith(sequence)]
        assert all(name > last for name in own)
