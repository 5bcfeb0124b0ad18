import math

import numpy as np
import pytest
from off_pairs import Off, distance, pair

from fusion_core.registration.align import estimate
from fusion_core.registration.ecc import Model
from fusion_core.registration.warp import mean_distance, shift_of, warped


@pytest.mark.parametrize(
    ("off", "model"),
    [
        (Off(14, -9), "translation"),
        (Off(-25, 4), "affine"),
        (Off(8, 5, math.radians(4), 1.03), "affine"),
        (Off(-6, 10, math.radians(-5), 0.98), "homography"),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_transform_of_a_pair_is_found(off: Off, model: Model, seed: int) -> None:
    found = estimate(*pair(seed, off), model)
    assert found.sure
    assert distance(found.matrix, off) < 0.5
    assert found.left < 1


def test_a_shift_does_not_mend_a_turn_and_says_so() -> None:
    found = estimate(*pair(3, Off(5, 2, math.radians(6))), "translation")
    assert not found.sure


def test_nothing_is_sure_of_pictures_without_relation() -> None:
    infrared, _ = pair(1, Off())
    _, visible = pair(99, Off())
    assert not estimate(infrared, visible, "affine").sure
    flat = np.zeros((240, 320), np.float32)
    assert not estimate(flat, visible, "affine").sure


def test_an_aligned_pair_gains_nothing_by_a_transform_and_is_left() -> None:
    assert not estimate(*pair(4, Off()), "affine").sure


def test_a_large_pair_is_aligned_to_a_fraction_of_what_its_reduced_one_shows() -> None:
    infrared, visible = pair(6, Off(7.3, -4.6), (960, 1280))
    found = estimate(infrared, visible, "translation")
    assert distance(found.matrix, Off(7.3, -4.6), (960, 1280)) < 1


def test_a_picture_is_moved_to_where_the_matrix_says() -> None:
    """By hand: what lay at (12, 7) comes to (10, 4) by a matrix that adds (2, 3)."""
    pixels = np.zeros((20, 30), np.uint16)
    pixels[7, 12] = 40_000
    matrix = np.array([[1.0, 0, 2], [0, 1, 3], [0, 0, 1]])
    moved, inside = warped(pixels, matrix)
    assert moved.dtype == np.uint16
    assert moved[4, 10] == 40_000
    assert moved.sum() == 40_000
    expected = np.zeros((20, 30), np.bool_)
    expected[:17, :28] = True
    assert (inside == expected).all()
    assert shift_of(matrix, 20, 30) == (2, 3)
    assert mean_distance(matrix, 20, 30) == pytest.approx(math.hypot(2, 3))


def test_what_is_no_data_moves_along_and_takes_its_neighbours_with_it() -> None:
    pixels = np.full((20, 30, 3), 100, np.uint8)
    valid = np.ones((20, 30), np.bool_)
    valid[10, 15] = False
    matrix = np.array([[1.0, 0, 0.5], [0, 1, 0], [0, 0, 1]])
    moved, inside = warped(pixels, matrix, valid)
    assert not inside[10, 14:16].any()
    assert inside[10, 13]
    assert (moved[inside] == 100).all()
    assert (moved[~inside] == 0).all()
