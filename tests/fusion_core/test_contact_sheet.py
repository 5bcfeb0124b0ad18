"""Contact sheets: what is shown where, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFont

from fusion_core.contact_sheet import (
    BACKGROUND,
    GAP,
    GROUP_GAP,
    MARGIN,
    TALLEST,
    THUMBNAIL_WIDTH,
    SheetRow,
    as_rgb,
    draw_contact_sheet,
    salient_box,
    shorten,
)
from fusion_core.errors import DecodeError

GREY, RED, GREEN = (100, 100, 100), (200, 20, 20), (20, 180, 20)


def painted(colour: tuple[int, int, int], size: tuple[int, int] = (60, 80)) -> NDArray[np.uint8]:
    return np.full((*size, 3), colour, dtype=np.uint8)


def row(**changes: object) -> SheetRow:
    plain = SheetRow(
        "a", painted(GREY)[..., 0], painted(RED), painted(GREEN), {"EN": 6.9, "MI": 2.0}
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def array(sheet: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(sheet)


def test_each_column_shows_its_image() -> None:
    sheet = draw_contact_sheet([row(), row()], "two")
    picture = array(sheet)
    second = MARGIN + 3 * THUMBNAIL_WIDTH + 2 * GAP + GROUP_GAP
    for start in (MARGIN, second):
        for column, colour in enumerate((GREY, RED, GREEN)):
            left = start + column * (THUMBNAIL_WIDTH + GAP)
            part = picture[:, left : left + THUMBNAIL_WIDTH]
            shown = (np.abs(part.astype(int) - colour) <= 2).all(axis=2)
            # two thumbnails of 240x180, less the frame that marks the detail
            assert 2 * 240 * 180 * 0.97 < shown.sum() <= 2 * 240 * 180
    assert sheet.mode == "RGB"
    assert sheet.width == second + 3 * THUMBNAIL_WIDTH + 2 * GAP + MARGIN
    assert tuple(picture[0, 0]) == BACKGROUND


def test_more_rows_make_a_higher_sheet() -> None:
    heights = [draw_contact_sheet([row()] * count, "rows").height for count in (1, 2, 3)]
    assert heights[1] - heights[0] == heights[2] - heights[1] > 180


def test_no_rows_make_a_small_sheet_that_says_so() -> None:
    sheet = draw_contact_sheet([], "nothing")
    assert sheet.width <= 3 * THUMBNAIL_WIDTH
    lower = array(sheet)[sheet.height // 2 :]
    assert (lower.max(axis=2) > 100).sum() > 50


def test_the_detail_is_the_marked_part_magnified() -> None:
    ir = np.full((120, 160), 20, dtype=np.uint8)
    ir[60:70, 100:110] = 250
    picture = array(draw_contact_sheet([row(ir=ir, vi=ir, fused=ir)], "detail"))
    thumbnail = picture[80:, MARGIN : MARGIN + THUMBNAIL_WIDTH]
    left = MARGIN + 3 * THUMBNAIL_WIDTH + 2 * GAP + GROUP_GAP
    detail = picture[80:, left : left + THUMBNAIL_WIDTH]
    hot, magnified = ((part[30:].min(axis=2) > 150).sum() for part in (thumbnail, detail))
    assert 10 * hot < magnified < 24 * hot


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


def test_a_flat_image_has_its_detail_in_the_middle() -> None:
    flat = np.full((50, 50), 7, dtype=np.uint8)
    assert salient_box(flat, flat) == (0.375, 0.375, 0.625, 0.625)


def test_16_bits_are_stretched() -> None:
    ramp = np.tile(np.linspace(3000, 4000, 200).astype(np.uint16), (10, 1))
    shown = array(as_rgb(ramp))
    assert shown.min() == 0
    assert shown.max() == 255
    assert (np.diff(shown[0, :, 0].astype(int)) >= 0).all()
    np.testing.assert_array_equal(array(as_rgb(np.dstack([ramp] * 3))), shown)


def test_8_bits_are_shown_as_they_are() -> None:
    colour = np.random.default_rng(1).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    np.testing.assert_array_equal(array(as_rgb(colour)), colour)
    np.testing.assert_array_equal(array(as_rgb(colour[..., 0])), np.dstack([colour[..., 0]] * 3))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_alpha_lets_the_background_through(kind: type[np.uint8] | type[np.uint16]) -> None:
    full = np.iinfo(kind).max
    image = np.full((4, 4, 4), full, dtype=kind)
    image[:, 0, :3] = 0
    image[:2, :, 3] = 0
    shown = array(as_rgb(image))
    assert (shown[:2] == BACKGROUND).all()
    assert (shown[2:, 1:] == 255).all()


def test_16_bit_image_without_an_opaque_pixel_is_background() -> None:
    assert (array(as_rgb(np.zeros((3, 3, 4), dtype=np.uint16))) == BACKGROUND).all()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), dtype=np.float32),
        np.zeros((4, 4, 2), dtype=np.uint8),
        np.zeros(4, dtype=np.uint8),
        np.zeros((0, 4), dtype=np.uint8),
    ],
)
def test_what_is_no_image_is_refused_with_the_pair_named(wrong: NDArray[np.generic]) -> None:
    with pytest.raises(DecodeError, match=r"pair 'odd_one'.*expected uint8"):
        draw_contact_sheet([row(pair_id="odd_one", fused=wrong)], "refused")


def test_images_of_one_row_may_differ_in_size() -> None:
    small = draw_contact_sheet([row(vi=painted(RED, (30, 40)))], "sizes")
    np.testing.assert_array_equal(array(small), array(draw_contact_sheet([row()], "sizes")))


@pytest.mark.parametrize("size", [(900, 30), (30, 900), (1, 1)])
def test_odd_shapes_fit(size: tuple[int, int]) -> None:
    images = {"ir": painted(GREY, size)[..., 0], "vi": painted(RED, size)}
    sheet = draw_contact_sheet([row(**images, fused=painted(GREEN, size))], "odd")
    assert sheet.height <= TALLEST + 150
    assert (np.abs(array(sheet).astype(int) - RED) <= 2).all(axis=2).any()


def test_what_has_no_value_reads_the_same_whatever_it_is() -> None:
    def drawn(value: float | None) -> bytes:
        return draw_contact_sheet([row(metrics={"VIF": value})], "metrics").tobytes()

    assert drawn(None) == drawn(float("nan")) == drawn(float("inf"))
    assert drawn(None) != drawn(0.0)
    assert drawn(0.25) != drawn(0.5)


def test_many_metrics_take_more_lines() -> None:
    many: dict[str, float | None] = {f"metric_{number}": 0.5 for number in range(20)}
    few, more = (draw_contact_sheet([row(metrics=m)], "lines") for m in ({}, many))
    assert more.height > few.height
    assert more.width == few.width


def test_a_long_pair_id_is_cut_in_its_middle() -> None:
    name = "archive/" + "very_long/" * 40 + "scene_0007"
    short = shorten(name, 300, 15)
    assert ImageFont.load_default(size=15).getlength(short) <= 300
    assert short.startswith("archive/")
    assert short.endswith("scene_0007")
    assert "..." in short
    assert shorten("scene_0007", 300, 15) == "scene_0007"
    long, usual = (draw_contact_sheet([row(pair_id=pair)], "ids") for pair in (name, "b"))
    assert long.size == usual.size
    # the caption ends before the metrics begin
    assert (array(long)[80:102, MARGIN + 3 * THUMBNAIL_WIDTH : 780] == BACKGROUND).all()
