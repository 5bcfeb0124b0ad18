from typing import Any

import numpy as np
import pytest

from fusion_core.images.metadata import Metadata
from fusion_core.images.pair import PicturePair, ScaledPicture
from fusion_core.images.picture import Picture
from fusion_core.metrics.columns import score_columns
from fusion_core.metrics.scaling import Scaling
from fusion_core.settings.scaling import ScalingSettings

SIZE = (40, 60)
ROWS, COLUMNS = np.indices(SIZE)
RAMP = ((ROWS + COLUMNS) * 255 // 98).astype(np.uint8)
COLOUR = np.dstack([RAMP, RAMP[::-1], RAMP[:, ::-1]])


def pair_of(ir: Any, vi: Any, **changes: Any) -> PicturePair:
    sides = [side if isinstance(side, Picture) else Picture(side) for side in (ir, vi)]
    return PicturePair.of(*sides, ScalingSettings(**changes))


def counts() -> np.ndarray:
    """Return 14-bit counts of a scene at 8000 to 8400, with a hot target of 9000."""
    scene = (8000 + (ROWS + COLUMNS) * 400 // 98).astype(np.uint16)
    scene[10:20, 30:40] = 9000
    return scene


def mean_of(pair: PicturePair) -> Picture:
    ir, vi = pair.luminances()
    return pair.fused((ir + vi) / 2)


def test_a_hot_target_in_fourteen_bits_stands_out_by_what_its_counts_do() -> None:
    pair = pair_of(counts(), RAMP, percentiles=(0, 100))
    assert (pair.ir.scaling_name, pair.ir.scaling) == ("percentiles", Scaling(8000, 9000))
    ir, vi = pair.luminances()
    assert ir.dtype == vi.dtype == np.float32
    assert ir[15, 35] == 1
    assert ir[0, 0] == 0
    assert ir[39, 59] == pytest.approx(0.4)
    by_type = pair_of(counts(), RAMP, scaling="type").luminances()[0]
    assert np.ptp(by_type) == pytest.approx(1000 / 65535, rel=1e-3)
    assert np.ptp(ir) == pytest.approx(np.ptp(by_type) * 65.535, rel=1e-3)


def test_a_target_of_more_than_half_a_percent_is_white_and_its_surroundings_are_not() -> None:
    ir = pair_of(counts(), RAMP).luminances()[0]
    assert ir[15, 35] == 1
    assert ir[25:, :].max() < 0.5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["auto", "percentiles", "type"])
def test_the_mean_of_a_picture_with_itself_is_the_picture(
    dtype: type, channels: int, name: Any
) -> None:
    grey = RAMP.astype(dtype) + (np.uint16(7000) if dtype is np.uint16 else np.uint8(0))
    pixels = grey if channels == 1 else np.dstack([grey, grey[::-1], grey[:, ::-1]])
    pair = pair_of(pixels, pixels, scaling=name)
    assert pair.ir.scaling == pair.vi.scaling
    fused = mean_of(pair)
    assert fused.pixels.dtype == dtype
    np.testing.assert_array_equal(fused.pixels, pixels)


def test_counts_keep_their_units_and_what_lies_beyond_the_percentiles() -> None:
    scene = counts()
    scene[0, 0], scene[0, 1] = 0, 16000
    pair = pair_of(scene, scene)
    assert pair.vi.scaling.low >= 8000
    assert pair.vi.scaling.high <= 9000
    np.testing.assert_array_equal(mean_of(pair).pixels, scene)
    vi = pair.luminances()[1]
    brighter = pair.fused(np.minimum(vi + 0.25, 1).astype(np.float32))
    added = brighter.pixels[30, 5].astype(int) - scene[30, 5]
    assert added == pytest.approx(pair.vi.scaling.span / 4, abs=1)


def test_a_fixed_range_is_that_sides_alone() -> None:
    pair = pair_of(RAMP, RAMP, ir_range=(50, 101))
    assert (pair.ir.scaling_name, pair.ir.scaling) == ("range", Scaling(50, 101))
    assert (pair.vi.scaling_name, pair.vi.scaling) == ("type", Scaling(0, 255))
    ir, vi = pair.luminances()
    np.testing.assert_allclose(ir, np.clip((RAMP - 50.0) / 51, 0, 1), atol=1e-6)
    np.testing.assert_allclose(vi, RAMP / 255, atol=1e-6)
    np.testing.assert_array_equal(pair.ir.grey255(), np.clip((RAMP - 50.0) * 5, 0, 255))
    assert pair.vi.grey255() is pair.vi.picture.pixels


def test_the_percentiles_of_a_picture_are_those_of_what_it_shows() -> None:
    scene, alpha = counts(), np.full(SIZE, 65535, np.uint16)
    scene[:, :20], alpha[:, :20] = 60000, 0
    pair = pair_of(Picture(scene, alpha), RAMP, percentiles=(0, 100))
    assert pair.ir.scaling.high == 9000
    gone = pair_of(scene, RAMP, nodata=60000, percentiles=(0, 100))
    assert gone.ir.scaling == pair.ir.scaling


def test_where_the_infrared_shows_nothing_the_visible_stays_exactly_as_it_is() -> None:
    ir, alpha = RAMP[::-1].copy(), np.full(SIZE, 255, np.uint8)
    alpha[:, 45:], ir[:, 45:] = 0, 255
    alpha[5, 5] = 1  # nearly transparent is there all the same
    pair = pair_of(Picture(ir, alpha), COLOUR)
    assert pair.valid is not None
    np.testing.assert_array_equal(pair.valid, COLUMNS < 45)
    fused = pair.fused(np.ones(SIZE, np.float32))
    np.testing.assert_array_equal(fused.pixels[:, 45:], COLOUR[:, 45:])
    assert (fused.pixels[:, :45] != COLOUR[:, :45]).any(axis=2).mean() > 0.9
    assert fused.alpha is None
    assert pair.remark() == f"{40 * 15} pixels without infrared keep the visible values"
    assert pair.overlap == 0.75


def test_what_lies_where_nothing_is_shown_has_no_part_in_anything() -> None:
    alpha = np.where(COLUMNS < 45, 255, 0).astype(np.uint8)
    found = []
    for hidden in (0, 255):
        ir = np.where(COLUMNS < 45, RAMP[::-1], hidden).astype(np.uint8)
        pair = pair_of(Picture(ir, alpha), COLOUR)
        unit = pair.luminances()[0]
        np.testing.assert_allclose(unit[:, :45], RAMP[::-1, :45] / 255, atol=1e-6)
        assert unit[:, 45:].min() >= unit[:, :45].min()
        assert unit[:, 45:].max() <= unit[:, :45].max()
        assert np.abs(unit[:, 45] - unit[:, 44]).max() < 0.1  # no seam
        fused = mean_of(pair)
        scores = score_columns(*pair.greys(fused.pixels), valid=pair.valid)
        found.append((unit, fused.pixels, scores))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
    assert found[0][2] == found[1][2]


def test_the_alpha_of_the_visible_is_kept_and_nothing_is_fused_where_it_is_empty() -> None:
    alpha = np.where(ROWS < 10, 0, np.where(ROWS < 20, 100, 255)).astype(np.uint8)
    picture = Picture(COLOUR, alpha, metadata=Metadata(exif=b"kept"))
    pair = pair_of(RAMP, picture)
    fused = pair.fused(np.zeros(SIZE, np.float32))
    assert fused.alpha is alpha
    assert fused.metadata.exif == b"kept"
    np.testing.assert_array_equal(fused.pixels[:10], COLOUR[:10])
    assert (fused.pixels[10:] < COLOUR[10:]).any()
    assert pair.overlap == 1  # all that the visible shows
    assert pair.remark() is None


def test_overlap_and_remark_count_what_the_visible_shows_alone() -> None:
    ir_alpha = np.where(COLUMNS < 40, 255, 0).astype(np.uint8)
    vi_alpha = np.where(ROWS < 30, 255, 0).astype(np.uint8)
    pair = pair_of(Picture(RAMP, ir_alpha), Picture(COLOUR, vi_alpha))
    assert pair.overlap == pytest.approx(40 * 30 / (60 * 30))
    assert pair.remark() == f"{20 * 30} pixels without infrared keep the visible values"
    nothing = pair_of(Picture(RAMP, ir_alpha), Picture(COLOUR, 0 * vi_alpha))
    assert nothing.overlap == 0
    assert nothing.remark() is None


def test_a_pair_that_shows_all_has_no_mask() -> None:
    opaque = np.full(SIZE, 255, np.uint8)
    pair = pair_of(Picture(RAMP, opaque), Picture(COLOUR, np.maximum(RAMP, 1)), nodata="none")
    assert pair.valid is None
    assert pair.ir.valid is None
    assert pair.overlap == 1


def test_the_value_of_no_data_is_missing_in_grey_and_where_all_of_a_colour_have_it() -> None:
    ir, vi = np.maximum(RAMP, 1), np.maximum(COLOUR, 1)
    ir[:5], vi[:, :7], vi[20, 30] = 0, 0, (0, 0, 200)
    assert pair_of(ir, vi).valid is None
    pair = pair_of(ir, vi, nodata=0)
    assert pair.valid is not None
    np.testing.assert_array_equal(pair.valid, (ROWS >= 5) & (COLUMNS >= 7))
    fused = pair.fused(np.ones(SIZE, np.float32))
    np.testing.assert_array_equal(fused.pixels[~pair.valid], vi[~pair.valid])
    assert pair.remark() == f"{5 * 53} pixels without infrared keep the visible values"


def test_a_fused_image_of_the_visibles_type_is_scored_in_its_units() -> None:
    scene = counts()
    pair = pair_of(RAMP, scene, percentiles=(0, 100))
    ir, vi, fused = pair.greys(scene)
    np.testing.assert_array_equal(fused, vi)
    np.testing.assert_array_equal(ir, RAMP)
    expected = np.floor((scene.astype(float) - 8000) * 255 / 1000 + 0.5)
    np.testing.assert_array_equal(vi, expected)


def test_another_programs_image_of_eight_bits_is_scored_by_its_own_range() -> None:
    pair = pair_of(RAMP, counts())
    np.testing.assert_array_equal(pair.greys(RAMP[::-1])[2], RAMP[::-1])
    wide = (RAMP.astype(np.uint16) * 257)[::-1]
    eight = pair_of(RAMP, COLOUR)
    np.testing.assert_array_equal(eight.greys(wide)[2], RAMP[::-1])


def test_twelve_bits_end_at_their_own_white() -> None:
    pixels = (RAMP.astype(np.uint16) * 16)[:, :, None].repeat(3, 2)
    picture = Picture(pixels, white=4095)
    pair = pair_of(picture, picture)
    assert (pair.vi.scaling_name, pair.vi.scaling) == ("type", Scaling(0, 4095))
    unit = pair.luminances()[1]
    np.testing.assert_allclose(unit, pixels[..., 0] / 4095, atol=1e-6)
    white = pair.fused(np.ones(SIZE, np.float32))
    assert (white.pixels == 4095).all()
    assert white.white == 4095
    red = np.zeros((*SIZE, 3), np.uint16)
    red[..., 0] = 4000
    bright = pair_of(RAMP, Picture(red, white=4095), scaling="type")
    brighter = bright.fused(np.ones(SIZE, np.float32))
    assert brighter.pixels[0, 0].tolist() == [4095, 2899, 2899]  # of 4095 - 0.299 x 4000
    assert pair.vi.grey255().max() == round(4080 * 255 / 4095)


def test_a_scaled_picture_is_one_side_with_its_own_settings() -> None:
    options = ScalingSettings(ir_range=(0, 100), vi_range=(100, 200))
    sides = [ScaledPicture.of(Picture(RAMP), side, options) for side in ("ir", "vi")]  # type: ignore[arg-type]
    assert [side.scaling for side in sides] == [Scaling(0, 100), Scaling(100, 200)]


def test_another_frame_of_a_clip_is_scaled_as_the_first() -> None:
    options = ScalingSettings(percentiles=(0, 100), nodata=0)
    first = PicturePair.of(Picture(counts()), Picture(COLOUR + 1), options)
    brighter = counts() + 500
    brighter[:5] = 0
    pair = first.following(Picture(brighter), Picture(COLOUR[::-1] + 1), options)
    assert pair.scaling_names == first.scaling_names == ("percentiles", "type")
    assert (pair.ir.scaling, pair.vi.scaling) == (first.ir.scaling, first.vi.scaling)
    assert pair.luminances()[0][39, 59] == pytest.approx(0.9)
    assert pair.valid is not None
    assert pair.valid.sum() == 35 * 60
    assert first.valid is None
    np.testing.assert_array_equal(pair.vi.picture.pixels, COLOUR[::-1] + 1)
