import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from off_pairs import Off, pair

from fusion_core.registration.check import Shift, estimate_shift, limit_for

SHIFTS = st.integers(-30, 30)


def test_a_thing_further_right_and_up_in_the_infrared_has_positive_x_and_negative_y() -> None:
    """By hand: the same box 12 pixels further right and 8 further up."""
    visible = np.zeros((240, 320), np.float32)
    infrared = np.ones((240, 320), np.float32)
    rng = np.random.default_rng(3)
    for top, left, high, wide in rng.integers((40, 40, 8, 8), (180, 260, 30, 30), (12, 4)):
        visible[top : top + high, left : left + wide] = 0.8
        infrared[top - 8 : top - 8 + high, left + 12 : left + 12 + wide] = 0.3
    found = estimate_shift(infrared, visible)
    assert (found.x, found.y) == pytest.approx((12, -8), abs=0.6)
    assert found.offset == pytest.approx(math.hypot(12, 8), abs=0.8)
    assert found.verdict(limit=4) == "shifted"
    assert found.matrix(240, 320) @ (100, 90, 1) == pytest.approx((112, 82, 1), abs=1.0)


@given(seed=st.integers(0, 10_000), x=SHIFTS, y=SHIFTS)
@settings(max_examples=15, deadline=None)
def test_a_shift_of_a_texture_is_found_within_a_pixel(seed: int, x: int, y: int) -> None:
    found = estimate_shift(*pair(seed, Off(x, y)))
    assert found.sure
    assert math.hypot(found.x - x, found.y - y) < 1


@given(
    seed=st.integers(0, 10_000), x=st.integers(-15, 15), turn=st.floats(-math.pi / 24, math.pi / 24)
)
@settings(max_examples=10, deadline=None)
def test_a_turn_is_found_around_the_middle_clockwise(seed: int, x: int, turn: float) -> None:
    found = estimate_shift(*pair(seed, Off(x, -3, turn)))
    assert found.sure
    assert (found.x, found.y) == pytest.approx((x, -3), abs=1.6)
    assert found.turn == pytest.approx(turn, abs=math.radians(0.7))


def test_what_is_off_is_measured_over_the_whole_picture() -> None:
    """A turn by t moves a pixel at distance r by r t, and the mean r² is (h² + w²) / 12."""
    turn = math.radians(4)
    found = estimate_shift(*pair(5, Off(0, 0, turn)))
    assert found.offset == pytest.approx(turn * math.sqrt((240**2 + 320**2) / 12), rel=0.15)


@pytest.mark.parametrize("size", [(480, 640), (250, 500), (768, 576), (1100, 1400)])
def test_a_shift_is_in_pixels_of_the_pair_whatever_it_is_reduced_by(size: tuple[int, int]) -> None:
    infrared, visible = pair(11, Off(14, -10), (240, 320))
    tall, wide = (-(-side // part) for side, part in zip(size, (240, 320), strict=True))
    scale = max(tall, wide)
    large = [np.kron(one, np.ones((scale, scale), np.float32)) for one in (infrared, visible)]
    found = estimate_shift(*large)
    assert (found.x, found.y) == pytest.approx((14 * scale, -10 * scale), abs=0.7 * scale)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_believed_of_pictures_without_relation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, 240, 320), np.float32)
    assert estimate_shift(first, second).verdict(limit=4) == "unsure"


@pytest.mark.parametrize("size", [(1, 1), (2, 90), (16, 16), (127, 90)])
def test_nothing_is_believed_of_tiny_or_flat_pictures(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    small = rng.random(size, np.float32)
    assert estimate_shift(small, small).score == 0
    flat = np.full((240, 320), 0.5, np.float32)
    assert estimate_shift(flat, flat) == Shift(0, 0, 0, 0, 0)


def test_edges_of_what_shows_nothing_are_no_edges() -> None:
    """Both pictures end in the same frame of zeros, which isn't off; what is inside is."""
    infrared, visible = pair(7, Off(10, 6))
    valid = np.zeros((240, 320), np.bool_)
    valid[30:-30, 30:-30] = True
    infrared, visible = (np.where(valid, one, 0).astype(np.float32) for one in (infrared, visible))
    found = estimate_shift(infrared, visible, valid)
    assert (found.x, found.y) == pytest.approx((10, 6), abs=1)


def test_a_verdict_says_whether_it_is_sure_before_it_says_what_it_is() -> None:
    assert Shift(9, 0, 0, 9, 0.5).verdict(4) == "shifted"
    assert Shift(3, 0, 0, 3, 0.5).verdict(4) == "aligned"
    assert Shift(9, 0, 0, 9, 0.05).verdict(4) == "unsure"
    assert Shift(1, 0, 0, 1, 0.05).verdict(4) == "unsure"


def test_a_limit_grows_with_the_picture_unless_it_is_set() -> None:
    assert limit_for(480, 640) == pytest.approx(5.12)
    assert limit_for(500, 250) == pytest.approx(4.0)
    assert limit_for(200, 250) == 3.0
    assert limit_for(480, 640, 2.0) == 2.0


@pytest.mark.parametrize("size", [(1, 65535), (65535, 1), (3, 900), (40, 4000), (1, 1), (129, 7)])
def test_pictures_that_are_lines_are_unsure(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    ir, vi = rng.random((2, *size), np.float32)
    assert estimate_shift(ir, vi).verdict(3.0) == "unsure"
