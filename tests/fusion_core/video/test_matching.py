"""Which infrared frame each visible one gets, against a search through all of them."""

from collections.abc import Sequence
from fractions import Fraction

import pytest
from clips import bare_frame
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.video.matching import FrameMatcher, Pending, default_tolerance

TIMES = st.sets(st.integers(-6, 30).map(lambda k: Fraction(k, 4)), max_size=14).map(sorted)
SPANS = st.integers(1, 12).map(lambda k: Fraction(k, 8))
OFFSETS = st.integers(-8, 8).map(lambda k: Fraction(k, 8))
Times = Sequence[Fraction]
Found = Sequence[Fraction | None]


def searched(ir: Times, vi: Times, tolerance: Fraction, offset: Fraction, shown: Fraction) -> Found:
    """Return the infrared time for each visible one by looking at all of them; None where none."""
    found: list[Fraction | None] = []
    for time in vi:
        shifted = [(abs(one + offset - time), one) for one in ir]
        distance, nearest = min(shifted, default=(Fraction(10**6), None))
        if distance <= tolerance:
            found.append(nearest)
        elif ir and 0 < time - (ir[-1] + offset) < shown:
            found.append(ir[-1])
        else:
            found.append(None)
    return found


def matched(
    ir: Times,
    vi: Times,
    tolerance: Fraction,
    offset: Fraction = Fraction(0),
    shown: Fraction = Fraction(0),
    cuts: Sequence[int] = (),
) -> tuple[Found, int, Fraction | None]:
    """Match in as many parts as ``cuts`` make; return times, unused frames and the last one."""
    found: list[Fraction | None] = []
    pending, unused = Pending(), 0
    for begin, end in zip((0, *cuts), (*cuts, None), strict=True):
        left = [bare_frame(time) for time in ir if pending.time is None or time >= pending.time]
        matcher = FrameMatcher(
            left, tolerance=tolerance, offset=offset, shown=shown, pending=pending
        )
        for time in vi[begin:end]:
            match = matcher.match(bare_frame(time))
            assert match.vi.time == time
            found.append(None if match.ir is None else match.ir.time)
        pending = matcher.pending
        unused += matcher.finish() if end is None else matcher.unused
    return found, unused, matcher.last


@given(ir=TIMES, vi=TIMES, tolerance=SPANS, offset=OFFSETS, shown=SPANS | st.just(Fraction(0)))
def test_each_visible_frame_takes_the_nearest_and_what_none_took_is_counted_once(
    ir: Times, vi: Times, tolerance: Fraction, offset: Fraction, shown: Fraction
) -> None:
    found, unused, last = matched(ir, vi, tolerance, offset, shown)
    assert found == searched(ir, vi, tolerance, offset, shown)
    assert unused == len({*ir} - {*found})
    assert last == (ir[-1] + offset if ir else None)


@given(
    ir=TIMES,
    vi=TIMES,
    tolerance=SPANS,
    offset=OFFSETS,
    shown=SPANS,
    cuts=st.sets(st.integers(0, 14), max_size=4),
)
def test_a_clip_in_parts_is_matched_as_the_whole(
    ir: Times, vi: Times, tolerance: Fraction, offset: Fraction, shown: Fraction, cuts: set[int]
) -> None:
    inside = sorted(cut for cut in cuts if cut <= len(vi))
    whole = matched(ir, vi, tolerance, offset, shown)
    assert matched(ir, vi, tolerance, offset, shown, inside) == whole


def test_of_two_frames_as_near_the_earlier_is_taken() -> None:
    ir = [Fraction(0), Fraction(2)]
    assert matched(ir, [Fraction(1)], Fraction(1)) == ([0], 1, 2)


@pytest.mark.parametrize(("ir_rate", "vi_rate", "unused"), [(9, 30, 0), (30, 9, 21)])
def test_cameras_of_different_rates_leave_no_visible_frame_alone(
    ir_rate: int, vi_rate: int, unused: int
) -> None:
    """Also where a container rounds times to milliseconds."""
    ir, vi = (
        [Fraction(round(1000 * k / rate), 1000) for k in range(rate)] for rate in (ir_rate, vi_rate)
    )
    tolerance = default_tolerance(Fraction(ir_rate), Fraction(vi_rate))
    shown = Fraction(1, ir_rate)
    found, found_unused, _ = matched(ir, vi, tolerance, shown=shown)
    assert None not in found
    assert found_unused == unused


def test_a_frame_in_the_middle_between_two_is_within_the_default_tolerance() -> None:
    assert default_tolerance(Fraction(30), Fraction(10)) == Fraction(101, 2000)
    assert default_tolerance(Fraction(10), Fraction(30)) == Fraction(101, 2000)


def test_where_the_infrared_camera_dropped_frames_visible_ones_stay_alone() -> None:
    ir = [Fraction(k, 25) for k in (0, 1, 2, 6, 7)]
    vi = [Fraction(k, 25) for k in range(8)]
    tolerance = default_tolerance(Fraction(25), Fraction(25))
    found, unused, _ = matched(ir, vi, tolerance, shown=Fraction(1, 25))
    assert found == [*ir[:3], None, None, None, *ir[3:]]
    assert unused == 0


def test_an_offset_is_added_to_infrared_times() -> None:
    ir = [Fraction(10), Fraction(11), Fraction(12)]
    found, unused, last = matched(ir, [Fraction(1), Fraction(2)], Fraction(1, 10), Fraction(-10))
    assert (found, unused, last) == ([11, 12], 1, 2)


def test_the_last_infrared_frame_serves_for_as_long_as_it_is_shown() -> None:
    ir, vi = [Fraction(0), Fraction(1)], [Fraction(k, 4) for k in range(9)]
    found, _, _ = matched(ir, vi, Fraction(1, 2), shown=Fraction(1))
    assert found == [0, 0, 0, 1, 1, 1, 1, 1, None]


def test_a_frame_that_is_not_the_last_serves_within_the_tolerance_alone() -> None:
    ir, vi = [Fraction(0), Fraction(4)], [Fraction(1, 2), Fraction(3, 4)]
    found, _, _ = matched(ir, vi, Fraction(1, 2), shown=Fraction(2))
    assert found == [0, None]


def test_without_infrared_frames_every_visible_one_is_alone() -> None:
    assert matched([], [Fraction(0), Fraction(1)], Fraction(9)) == ([None, None], 0, None)
    assert FrameMatcher([], tolerance=Fraction(1)).pending == Pending()
