import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fusion_core.reports.detail import (
    MAGNIFICATION,
    THUMBNAIL_WIDTH,
    salient_box,
    thumbnail_and_detail,
)
from fusion_core.reports.drawing import ACCENT


@pytest.mark.parametrize("place", [(5, 5), (50, 70), (110, 150), (0, 80), (119, 3)])
def test_the_detail_holds_the_hot_spot(place: tuple[int, int]) -> None:
    ir = np.full((120, 160), 60, dtype=np.uint8)
    ir[max(0, place[0] - 4) : place[0] + 5, max(0, place[1] - 4) : place[1] + 5] = 200
    left, top, right, bottom = salient_box(ir, np.zeros_like(ir))
    assert left <= place[1] / 160 <= right
    assert top <= place[0] / 120 <= bottom
    assert (right - left, bottom - top) == pytest.approx((0.25, 0.25))
    assert min(left, top) >= 0
    assert max(right, bottom) <= 1


@pytest.mark.parametrize("shown", ["left", "right"])
def test_of_two_hot_spots_the_one_that_the_visible_hides_is_chosen(shown: str) -> None:
    ir = np.full((100, 200), 60, dtype=np.uint8)
    ir[45:55, 30:40] = ir[45:55, 160:170] = 200
    vi = np.full((100, 200, 3), 50, dtype=np.uint8)
    at = 30 if shown == "left" else 160
    vi[45:55:2, at : at + 10] = 255
    left, _, right, _ = salient_box(ir, vi)
    assert ((left + right) / 2 < 0.5) == (shown == "right")


def test_a_house_before_a_cold_sky_is_no_hot_spot() -> None:
    ir = np.full((96, 96), 100, dtype=np.uint8)
    ir[:40] = 0
    ir[20:40, 10:40] = 90
    ir[70:76, 60:66] = 160
    left, top, right, bottom = salient_box(ir, np.zeros_like(ir))
    assert left < 63 / 96 < right
    assert top < 73 / 96 < bottom


def test_a_bright_lawn_is_left_for_what_has_contrast() -> None:
    ir = np.linspace(30, 240, 96).astype(np.uint8)[:, None].repeat(96, axis=1)
    ir[20:28, 70:78] = 200
    left, top, right, bottom = salient_box(ir, np.zeros_like(ir))
    assert left < 74 / 96 < right
    assert top < 24 / 96 < bottom


def test_a_flat_image_has_its_detail_in_the_middle() -> None:
    flat = np.full((50, 50), 7, dtype=np.uint8)
    assert salient_box(flat, flat) == (0.375, 0.375, 0.625, 0.625)


@settings(max_examples=30)
@given(
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
    st.sampled_from([np.uint8, np.uint16]),
    st.integers(0, 99),
)
def test_the_detail_lies_in_the_image_and_is_always_the_same(
    ir_size: tuple[int, int], vi_size: tuple[int, int], kind: type[np.integer], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    ir = rng.integers(0, np.iinfo(kind).max, ir_size, kind)
    vi = rng.integers(0, np.iinfo(kind).max, (*vi_size, 3), kind)
    left, top, right, bottom = box = salient_box(ir, vi)
    assert 0 <= left < right <= 1
    assert 0 <= top < bottom <= 1
    assert (right - left, bottom - top) == pytest.approx((1 / MAGNIFICATION, 1 / MAGNIFICATION))
    assert salient_box(ir.copy(), vi.copy()) == box


@settings(max_examples=30)
@given(st.integers(0, 86), st.integers(0, 86), st.integers(2, 4))
def test_the_detail_moves_with_the_hot_spot_whatever_the_resolution(
    row: int, column: int, scale: int
) -> None:
    ir = np.full((96, 96), 40, dtype=np.uint8)
    ir[row : row + 10, column : column + 10] = 200
    left, top, right, bottom = box = salient_box(ir, np.zeros_like(ir))
    assert left <= column / 96 <= (column + 10) / 96 <= right
    assert top <= row / 96 <= (row + 10) / 96 <= bottom
    finer = ir.repeat(scale, axis=0).repeat(scale, axis=1)
    assert salient_box(finer, np.zeros_like(finer)) == box


def test_the_frame_is_around_what_the_detail_magnifies() -> None:
    pixels = np.zeros((480, 480, 3), dtype=np.uint8)
    pixels[120:240, 240:360] = (0, 0, 255)
    thumbnail, detail = thumbnail_and_detail(Image.fromarray(pixels), (0.5, 0.25, 0.75, 0.5))
    assert thumbnail.size == detail.size == (THUMBNAIL_WIDTH, THUMBNAIL_WIDTH)
    framed = np.argwhere((np.asarray(thumbnail) == ACCENT).all(axis=2))
    side = THUMBNAIL_WIDTH // MAGNIFICATION
    assert framed.min(axis=0) == pytest.approx((side, 2 * side), abs=1)
    assert framed.max(axis=0) == pytest.approx((2 * side, 3 * side), abs=1)
    blue = (np.asarray(detail) == (0, 0, 255)).all(axis=2)
    assert blue[4:-4, 4:-4].all()
