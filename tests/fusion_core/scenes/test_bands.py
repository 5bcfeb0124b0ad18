import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from fusion_core.images.colour import luminance, replace_luminance
from fusion_core.scenes.bands import BandLayout

RED, GREEN, BLUE = ColorInterp.red, ColorInterp.green, ColorInterp.blue
GREY, PLAIN, ALPHA = ColorInterp.gray, ColorInterp.undefined, ColorInterp.alpha


def everywhere(bands: NDArray) -> NDArray[np.bool_]:
    return np.ones(bands.shape[1:], bool)


def given_luminance(
    layout: BandLayout, bands: NDArray, new: object, nodata: float | None = None
) -> NDArray:
    """Give all pixels a new luminance."""
    old = layout.luminance(bands, nodata)
    wanted = np.broadcast_to(np.asarray(new, np.float64), old.shape)
    return layout.replaced(bands, old, wanted, where=everywhere(bands), nodata=nodata)


def pixel(*values: float, dtype: type = np.float64) -> NDArray:
    return np.array(values, dtype)[:, None, None]


@pytest.mark.parametrize(
    ("colours", "data", "weights", "alpha"),
    [
        ((GREY,), (0,), (1.0,), None),
        ((GREY, ALPHA), (0,), (1.0,), 1),
        ((RED, GREEN, BLUE), (0, 1, 2), (0.299, 0.587, 0.114), None),
        ((BLUE, GREEN, RED), (0, 1, 2), (0.114, 0.587, 0.299), None),
        ((GREY, PLAIN, PLAIN), (0, 1, 2), (0.299, 0.587, 0.114), None),
        ((RED, GREEN, BLUE, ALPHA), (0, 1, 2), (0.299, 0.587, 0.114), 3),
        ((ALPHA, RED, GREEN, BLUE), (1, 2, 3), (0.299, 0.587, 0.114), 0),
        ((BLUE, GREEN, RED, PLAIN), (0, 1, 2, 3), (0.114, 0.587, 0.299, 0), None),
        ((GREY, PLAIN), (0, 1), (0.5, 0.5), None),
        ((GREY, PLAIN, PLAIN, PLAIN), (0, 1, 2, 3), (0.25,) * 4, None),
        ((RED, GREEN, PLAIN, PLAIN, ALPHA), (0, 1, 2, 3), (0.25,) * 4, 4),
    ],
)
def test_a_layout_is_read_from_what_bands_are_marked_as(
    colours: tuple[ColorInterp, ...],
    data: tuple[int, ...],
    weights: tuple[float, ...],
    alpha: int | None,
) -> None:
    count = len(colours)
    assert BandLayout.of(colours) == BandLayout(
        data, weights, alpha, (1.0,) * count, (0.0,) * count
    )


def test_values_are_in_the_units_that_the_bands_declare() -> None:
    scales, offsets = (0.1, 0.1, -0.5, 1.0), (-1.0, 0.0, 100.0, 0.0)
    layout = BandLayout.of((PLAIN,) * 4, scales, offsets)
    bands = pixel(50, 20, 40, 6, dtype=np.uint16)  # 4, 2, 80 and 6
    assert layout.luminance(bands).item() == pytest.approx(23)
    assert layout.container("uint8", 8) == pytest.approx((-7.125, 101.25), abs=1e-9)
    found = given_luminance(layout, bands, 34.5)  # 6, 3, 120 and 9
    assert found.ravel().tolist() == [70, 30, 0, 9]  # -40 is beyond the type


def test_normalised_differences_of_reflectances_are_held() -> None:
    layout = BandLayout.of((PLAIN,) * 4, (0.0001,) * 4, (-0.1,) * 4)
    bands = pixel(1300, 1500, 1450, 4000, dtype=np.uint16)
    red, infrared = (0.1 * (value / 1000) - 0.1 for value in (1450, 4000))
    found = given_luminance(layout, bands, layout.luminance(bands) * 1.5).ravel()
    new_red, new_infrared = (0.1 * (float(found[k]) / 1000) - 0.1 for k in (2, 3))
    before = (infrared - red) / (infrared + red)
    assert (new_infrared - new_red) / (new_infrared + new_red) == pytest.approx(before, abs=1e-3)


def test_a_band_without_data_has_no_share_in_the_luminance() -> None:
    layout = BandLayout.of((PLAIN,) * 4)
    bands = pixel(4, 8, np.nan, -9, dtype=np.float32)
    assert layout.luminance(bands, -9.0).item() == 6
    assert np.isnan(layout.luminance(pixel(np.nan, np.nan, -9, -9), -9.0)).all()
    found = given_luminance(layout, bands, 12.0, -9.0).ravel()
    assert found[:2].tolist() == [8, 16]
    assert np.isnan(found[2])
    assert found[3] == -9
    dark = BandLayout.of((PLAIN,) * 2).luminance(pixel(8, 0, dtype=np.uint16), 0.0)
    assert dark.item() == 4


def test_luminance_by_hand() -> None:
    assert BandLayout.of((GREY,)).luminance(pixel(7, dtype=np.uint16)) == 7
    rgb = BandLayout.of((RED, GREEN, BLUE, ALPHA))
    assert rgb.luminance(pixel(100, 200, 50, 255)).item() == pytest.approx(29.9 + 117.4 + 5.7)
    many = BandLayout.of((PLAIN,) * 5)
    assert many.luminance(pixel(1, 2, 3, 4, 65535, dtype=np.uint16)).item() == 13109


def test_a_single_band_takes_the_new_luminance() -> None:
    bands = np.array([[[10, 20, 30]]], np.uint8)
    found = given_luminance(BandLayout.of((GREY,)), bands, [[12.4, 0, 255]])
    assert found.tolist() == [[[12, 0, 255]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colours_change_as_in_photographs(dtype: type) -> None:
    rng, top = np.random.default_rng(1), int(np.iinfo(dtype).max)
    rgb = rng.integers(0, top, (40, 50, 3), dtype, endpoint=True)
    fused = rng.random((40, 50), np.float32)
    expected = replace_luminance(rgb, fused)
    layout = BandLayout.of((RED, GREEN, BLUE))
    bands = np.moveaxis(rgb, -1, 0)
    np.testing.assert_allclose(layout.luminance(bands) / top, luminance(rgb), atol=3e-7)
    found = np.moveaxis(given_luminance(layout, bands, fused.astype(float) * top), 0, -1)
    assert found.dtype == dtype
    different = found != expected  # by a rounding in fp32, where a value ends in a half
    assert np.abs(found.astype(int) - expected.astype(int)).max() <= 1
    assert different.mean() < 0.01


def test_every_colour_changes_by_the_change_of_luminance() -> None:
    layout = BandLayout.of((RED, GREEN, BLUE))
    bands = pixel(100, 60, 20, dtype=np.int16)
    found = given_luminance(layout, bands, layout.luminance(bands) + 15)
    assert found.ravel().tolist() == [115, 75, 35]


def test_many_bands_are_multiplied_by_the_ratio() -> None:
    layout = BandLayout.of((PLAIN,) * 4)
    bands = pixel(1000, 2000, 3000, 6000, dtype=np.uint16)  # 3000 in the mean
    assert given_luminance(layout, bands, 4500.0).ravel().tolist() == [1500, 3000, 4500, 9000]


def test_marked_colours_decide_the_luminance_of_many_bands_and_all_follow() -> None:
    layout = BandLayout.of((RED, GREEN, BLUE, PLAIN))
    bands = pixel(0.1, 0.1, 0.1, 0.4, dtype=np.float64)
    found = given_luminance(layout, bands, 0.15)
    np.testing.assert_allclose(found.ravel(), [0.15, 0.15, 0.15, 0.6], rtol=1e-12)


@settings(max_examples=60)
@given(seed=st.integers(0, 999), new=st.floats(0.01, 0.9))
def test_band_ratios_and_vegetation_indices_are_held(seed: int, new: float) -> None:
    red, green, blue, nir = bands = np.random.default_rng(seed).uniform(0.02, 0.6, (4, 3, 5))
    found = given_luminance(BandLayout.of((PLAIN,) * 4), bands, new)
    np.testing.assert_allclose(found.mean(axis=0), new, rtol=1e-12)
    np.testing.assert_allclose(found[1] / found[2], green / blue, rtol=1e-9)
    ndvi = (nir - red) / (nir + red)
    np.testing.assert_allclose((found[3] - found[0]) / (found[3] + found[0]), ndvi, atol=1e-12)


@pytest.mark.parametrize(("old", "new"), [(0.0, 8.0), (-4.0, 8.0), (4.0, 0.0), (4.0, -8.0)])
def test_without_a_positive_luminance_the_change_is_added(old: float, new: float) -> None:
    bands = pixel(old - 3, old + 3)
    found = given_luminance(BandLayout.of((PLAIN, PLAIN)), bands, new)
    assert found.ravel().tolist() == [new - 3, new + 3]


def test_alpha_and_pixels_outside_are_as_before() -> None:
    rng = np.random.default_rng(2)
    bands = rng.integers(0, 256, (4, 6, 7), np.uint8)
    before, where = bands.copy(), rng.random((6, 7)) < 0.5
    layout = BandLayout.of((RED, GREEN, BLUE, ALPHA))
    old = layout.luminance(bands)
    found = layout.replaced(bands, old, old + 60, where=where, nodata=None)
    assert (found[3] == before[3]).all()
    assert (found[:, ~where] == before[:, ~where]).all()
    assert (found[:3, where] != before[:3, where]).any()
    assert (bands == before).all()


def test_whole_numbers_are_rounded_and_clipped_and_do_not_wrap() -> None:
    layout = BandLayout.of((RED, GREEN, BLUE))
    bands = pixel(250, 120, 3, dtype=np.uint8)
    old = layout.luminance(bands)
    assert given_luminance(layout, bands, old + 20.6).ravel().tolist() == [255, 141, 24]
    assert given_luminance(layout, bands, old - 20.6).ravel().tolist() == [229, 99, 0]
    signed = pixel(-32700, dtype=np.int16)
    assert given_luminance(BandLayout.of((GREY,)), signed, -40000.0).item() == -32768


@pytest.mark.parametrize(
    ("dtype", "nodata", "wanted", "expected"),
    [
        (np.uint8, 0, 0.3, 1),
        (np.uint8, 0, -50, 1),
        (np.uint8, 255, 300, 254),
        (np.uint8, 100, 99.8, 101),
        (np.uint8, 100, 99.4, 99),
        (np.uint16, 65535, 65534.7, 65534),
        (np.uint16, 0, 0, 1),
        (np.int16, -32768, -40000, -32767),
        (np.int16, 32767, 40000, 32766),
        (np.int16, -9999, -9999, -9998),
        (np.uint32, 2**32 - 1, 2.0**33, 2**32 - 2),
        (np.int32, -(2**31), -(2.0**40), 1 - 2**31),
    ],
)
def test_whole_numbers_step_aside_of_nodata(
    dtype: type, nodata: int, wanted: float, expected: int
) -> None:
    bands = pixel(50, dtype=dtype)
    found = given_luminance(BandLayout.of((GREY,)), bands, wanted, float(nodata))
    assert found.dtype == dtype
    assert found.item() == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("nodata", [0.0, -9999.0, 1.0, "lowest", "highest"])
def test_real_numbers_step_aside_of_nodata_by_as_little_as_they_can(
    dtype: type, nodata: float | str
) -> None:
    limits = np.finfo(dtype)
    value = {"lowest": float(limits.min), "highest": float(limits.max)}.get(str(nodata), nodata)
    assert isinstance(value, float)
    found = given_luminance(BandLayout.of((GREY,)), pixel(50, dtype=dtype), value, value).item()
    assert found != value
    assert np.isfinite(found)
    assert found == pytest.approx(value, rel=1e-6, abs=1e-30)


@pytest.mark.parametrize("nodata", [float("nan"), -9999.0, 70000.0, 0.5])
def test_a_nodata_value_that_no_pixel_gets_changes_nothing(nodata: float) -> None:
    bands = np.arange(12, dtype=np.uint16).reshape(1, 3, 4)
    layout, new = BandLayout.of((GREY,)), np.arange(12.0).reshape(3, 4)[::-1]
    found = given_luminance(layout, bands, new, nodata)
    assert (found == given_luminance(layout, bands, new)).all()


def test_nodata_is_kept_where_it_stands_and_arises_nowhere() -> None:
    bands = np.array([[[0, 5, 9]], [[0, 0, 9]]], np.uint8)
    layout, where = BandLayout.of((GREY, PLAIN)), np.array([[False, True, True]])
    old = layout.luminance(bands, 0.0)
    found = layout.replaced(bands, old, np.full((1, 3), 1e-9), where=where, nodata=0.0)
    assert found.tolist() == [[[0, 1, 1]], [[0, 0, 1]]]


def test_values_that_are_no_numbers_stay_outside() -> None:
    bands = np.array([[[np.nan, 0.5]], [[0.2, 0.7]]], np.float32)
    layout, where = BandLayout.of((PLAIN, PLAIN)), np.array([[False, True]])
    old = layout.luminance(np.nan_to_num(bands))
    found = layout.replaced(bands, old, old * 2, where=where, nodata=None)
    assert np.isnan(found[0, 0, 0])
    np.testing.assert_allclose(found[:, 0, 1], [1.0, 1.4], rtol=1e-6)
