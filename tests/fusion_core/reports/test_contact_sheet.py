"""Contact sheets: what is shown where, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusion_core.errors import DecodeError
from fusion_core.reports.contact_sheet import GROUP_GAP, SheetRow, draw_contact_sheet
from fusion_core.reports.detail import TALLEST, THUMBNAIL_WIDTH
from fusion_core.reports.drawing import BACKGROUND, GAP, MARGIN

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
    long, usual = (draw_contact_sheet([row(pair_id=pair)], "ids") for pair in (name, "b"))
    assert long.size == usual.size
    # the caption ends before the metrics begin
    assert (array(long)[80:102, MARGIN + 3 * THUMBNAIL_WIDTH : 780] == BACKGROUND).all()
