from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fusion_core.errors import DecodeError
from fusion_core.reports.comparison_sheet import ComparisonRow, draw_comparison_sheet
from fusion_core.reports.detail import TALLEST, THUMBNAIL_WIDTH
from fusion_core.reports.drawing import GAP, MARGIN

GREY, RED, GREEN, BLUE = (100, 100, 100), (200, 20, 20), (20, 180, 20), (30, 60, 220)


def painted(colour: tuple[int, int, int], size: tuple[int, int] = (60, 80)) -> NDArray[np.uint8]:
    return np.full((*size, 3), colour, dtype=np.uint8)


def row(**changes: object) -> ComparisonRow:
    fused = {"mean": painted(GREEN), "mine": painted(BLUE)}
    plain = ComparisonRow("a", painted(GREY)[..., 0], painted(RED), fused)
    return replace(plain, **changes)  # type: ignore[arg-type]


def array(sheet: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(sheet)


def column(sheet: Image.Image, number: int) -> NDArray[np.int64]:
    left = MARGIN + number * (THUMBNAIL_WIDTH + GAP)
    return array(sheet)[:, left : left + THUMBNAIL_WIDTH].astype(int)


def test_each_column_shows_its_image_and_below_it_the_detail() -> None:
    sheet = draw_comparison_sheet([row(), row()], "two")
    for number, colour in enumerate((GREY, RED, GREEN, BLUE)):
        shown = (np.abs(column(sheet, number) - colour) <= 2).all(axis=2).sum()
        # two pictures and two details of 240x180, less the frames that mark the details
        assert 4 * 240 * 180 * 0.98 < shown <= 4 * 240 * 180
    assert sheet.width == 2 * MARGIN + 4 * THUMBNAIL_WIDTH + 3 * GAP


def test_the_detail_is_at_the_same_place_of_every_column() -> None:
    ir = np.full((96, 128), 40, dtype=np.uint8)
    ir[30:40, 40:52] = 220
    fused = dict.fromkeys(("m", "n"), ir)
    sheet = draw_comparison_sheet([row(ir=ir, vi=np.zeros_like(ir), fused=fused)], "same")
    first, *others = (column(sheet, number)[130:] for number in (0, 2, 3))
    for other in others:  # below the columns' names
        np.testing.assert_array_equal(first, other)
    halves = first[: -180 - MARGIN], first[-180 - MARGIN :]  # without the frame, which is coloured
    hot, magnified = ((half.min(axis=2) > 130).sum() for half in halves)
    assert 12 * hot < magnified < 20 * hot


def test_names_of_columns_and_pairs_are_written() -> None:
    plain = draw_comparison_sheet([row()], "names")
    other = draw_comparison_sheet([row(pair_id="b")], "names")
    renamed = draw_comparison_sheet(
        [row(fused={"mean": painted(GREEN), "another": painted(BLUE)})], "names"
    )
    assert plain.size == other.size == renamed.size
    for changed, where in ((other, 0), (renamed, 3)):
        differs = (column(plain, where) != column(changed, where)).any(axis=(1, 2))
        assert 5 < differs.sum() < 20
    assert (column(plain, 2) == column(renamed, 2)).all()


def test_long_names_keep_to_their_column() -> None:
    long = "a method of a name that is far too long for its column and even longer than that"
    wide = {"mean": painted(GREEN), long: painted(BLUE)}
    first = {long: painted(GREEN), "mine": painted(BLUE)}
    plain = draw_comparison_sheet([row()], "")
    assert draw_comparison_sheet([row(fused=wide, pair_id=long * 9)], "").size == plain.size
    assert (column(draw_comparison_sheet([row(fused=first)], ""), 3) == column(plain, 3)).all()


def test_rows_are_taken_one_at_a_time_and_may_differ_in_shape() -> None:
    sizes = [(60, 80), (900, 30), (30, 900), (1, 1)]
    rows = (
        row(
            ir=painted(GREY, size),
            vi=painted(RED, size),
            fused={"mean": painted(GREEN, size), "mine": painted(BLUE, size)},
        )
        for size in sizes
    )
    sheet = draw_comparison_sheet(rows, "odd")
    assert sheet.height < len(sizes) * (2 * TALLEST + 100) + 100


def test_16_bit_methods_are_stretched_alike() -> None:
    ramp = np.linspace(3000, 4000, 80).astype(np.uint16)[None].repeat(60, axis=0)
    darker = (ramp // 2).astype(np.uint16)
    sheet = draw_comparison_sheet([row(ir=ramp, vi=ramp, fused={"m": ramp, "n": darker})], "deep")
    bright, dark = (column(sheet, number)[110:280].mean() for number in (2, 3))
    assert bright > 2 * dark


def test_what_is_no_image_is_refused_with_the_pair_named() -> None:
    wrong = {"mean": np.zeros((4, 4), dtype=np.float32)}
    with pytest.raises(DecodeError, match=r"pair 'odd_one'.*expected uint8"):
        draw_comparison_sheet([row(pair_id="odd_one", fused=wrong)], "refused")
