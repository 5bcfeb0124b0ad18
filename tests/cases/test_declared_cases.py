"""Files that once came out wrong because not all that they declare was heeded.

They lie beside the repository. ``pytest tests/cases`` runs every case; what is right is computed
here from the files' own numbers, by the mean of both sides as the model.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from case_files import Case
from PIL import ExifTags, Image

from fusion_core.images.colour import BT601
from fusion_core.reports.sheets import ShownPair, write_contact_sheet
from fusion_core.storage.stored_file import StoredFile

LUMA = np.array(BT601)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def luminance(rgb: np.ndarray) -> np.ndarray:
    """Luminance (H, W) of grey or RGB bands (N, H, W)."""
    bands = rgb.astype(np.float64)
    return bands[0] if len(bands) < 3 else np.tensordot(LUMA, bands[:3], 1)


def unit(values: np.ndarray, row: dict[str, Any], side: str) -> np.ndarray:
    low, high = row[f"{side}_low"], row[f"{side}_high"]
    return np.clip((values - low) / (high - low), 0, 1)


def check_mean(case: Case, row: dict[str, Any], ir: np.ndarray, vi: np.ndarray) -> None:
    """Compare a fused image with the mean of its sides.

    Args:
        case: The case.
        row: Row of the fused image.
        ir: Infrared luminance, (H, W).
        vi: Visible bands, grey or RGB, (N, H, W).
    """
    fused = case.fused(row)[: len(vi)].astype(np.float64)
    span = row["vi_high"] - row["vi_low"]
    change = span * (unit(ir, row, "ir") - unit(luminance(vi), row, "vi")) / 2
    wanted = np.clip(vi + change, 0, np.iinfo(case.fused(row).dtype).max)
    assert np.abs(fused - wanted).max() <= 1.5  # both are rounded


def test_thermal_counts_count_as_much_in_sixteen_bits_as_in_floats(folder: Path) -> None:
    case = Case("01_thermal_14bit", folder)
    rows = {name: case.row(name) for name in case.pairs}
    deep, real = case.source("ir14.png"), case.source("irf.tif")
    hot = deep[0] > np.percentile(deep, 98)
    cold = deep[0] < np.percentile(deep, 20)
    images = {name: luminance(case.fused(row)) for name, row in rows.items()}
    for name in ("ir14_png", "ir14_tif"):
        assert (rows[name]["ir_scaling"], rows[name]["vi_scaling"]) == ("percentiles", "type")
        assert np.abs(images[name] - images["irf_tif"]).max() <= 1
        check_mean(case, rows[name], deep[0], case.source("vi.png"))
    assert rows["ir12_tif"]["ir_high"] == 4095
    assert np.corrcoef(deep.ravel(), real.ravel())[0, 1] > 0.999
    contrast = images["ir14_png"][hot].mean() - images["ir14_png"][cold].mean()
    assert contrast > 100, "1.8 where counts are divided by 65535"


def test_a_range_acts_on_thermal_counts_and_on_their_scores(folder: Path) -> None:
    case = Case("01_thermal_14bit", folder / "a")
    plain = case.row("ir14_png")
    ranged = Case("01_thermal_14bit", folder / "b", ir_range=(7000, 8500))
    row = ranged.row("ir14_png")
    assert (row["ir_scaling"], row["ir_low"], row["ir_high"]) == ("range", 7000, 8500)
    assert row["fused_sha256"] != plain["fused_sha256"]
    assert row["vif"] != plain["vif"]
    check_mean(ranged, row, ranged.source("ir14.png")[0], ranged.source("vi.png"))


@pytest.mark.parametrize(
    ("name", "file"), [("water_nir_0", "water_vi.tif"), ("nan_in_one_band", "nan_vi.tif")]
)
def test_a_pixel_without_data_in_one_band_is_fused(folder: Path, name: str, file: str) -> None:
    case = Case("05_nodata_in_one_band", folder)
    row = case.row(name)
    before, fused = case.source(file), case.fused(row)
    gap = ~np.isfinite(before[3]) | (before[3] == 0)
    assert gap.mean() > 0.4
    assert (row["overlap"], row["remark"]) == (1.0, None)
    changed = (before[:3] != fused[:3]).any(axis=0)
    assert changed[gap].mean() > 0.95
    np.testing.assert_array_equal(fused[3][gap], before[3][gap])


def test_a_band_of_flags_that_is_zero_costs_nothing(folder: Path) -> None:
    case = Case("05_nodata_in_one_band", folder)
    row = case.row("empty_qa_band")
    fused = case.fused(row)
    assert row["overlap"] == 1
    assert not fused[4].any()
    assert (fused[:4] != case.source("qa_vi.tif")[:4]).any(axis=0).mean() > 0.95


@pytest.mark.parametrize(
    ("name", "ir", "ir_turns", "vi", "vi_turns"),
    [
        ("jpg_with_8bit_right", "ir.png", 0, "vi_o3.jpg", 2),
        ("jpg_with_float_ir", "irf.tif", 0, "vi_o3.jpg", 2),
        ("float_tif", "irf_o3.tif", 2, "vi.png", 0),
        ("grey_alpha_16_tif", "ir.png", 0, "ga_o3.tif", 2),
        ("deep_png", "ir72.png", 0, "deep_o6.png", -1),
    ],
)
def test_both_sides_lie_upright(
    folder: Path, name: str, ir: str, ir_turns: int, vi: str, vi_turns: int
) -> None:
    case = Case("06_orientation", folder)
    infrared = np.rot90(luminance(case.source(ir)), ir_turns)
    visible = np.rot90(case.source(vi), vi_turns, axes=(1, 2))
    visible = visible[:1] if len(visible) == 2 else visible  # without its opacity
    check_mean(case, case.row(name), infrared, visible)


def test_normalised_differences_of_reflectances_are_held(folder: Path) -> None:
    case = Case("07_declared_offset", folder)
    fused, before = case.fused(case.row("ndvi")), case.source("vi.tif")

    def ndvi(bands: np.ndarray) -> np.ndarray:
        red, near = bands[2] * 1e-4 - 0.1, bands[3] * 1e-4 - 0.1
        return (near - red) / (near + red)

    changed = (fused != before).any(axis=0)
    assert changed.mean() > 0.9
    error = np.abs(ndvi(fused.astype(float)) - ndvi(before.astype(float)))[changed]
    # One step of a count is all that may be lost, of a reflectance of 0.01 at least.
    assert error.mean() < 0.002
    assert np.quantile(error, 0.99) < 0.01


def test_counts_that_fall_with_temperature_are_fused_the_right_way_round(folder: Path) -> None:
    case = Case("07_declared_offset", folder)
    row = case.row("negative_scale")
    temperature = case.source("irneg.tif")[0] * -0.02 + 600
    check_mean(case, row, temperature, case.source("vi1.tif"))
    change = case.fused(row)[0].astype(float) - case.source("vi1.tif")[0]
    assert np.corrcoef(change.ravel(), temperature.ravel())[0, 1] > 0.5


@pytest.mark.parametrize("name", ["rgbn16", "rgbn8"])
def test_near_infrared_is_a_band_and_no_opacity(folder: Path, name: str) -> None:
    case = Case("12_extra_channels", folder)
    row = case.row(name)
    before, fused = case.source(f"{name}.tif").astype(float), case.fused(row).astype(float)
    assert (row["bands"], row["overlap"]) == (4, 1)
    inside = (fused > 0).all(axis=0) & (fused < 0.95 * fused.max()).all(axis=0)
    inside &= (before > before.max() / 20).all(axis=0)
    assert inside.mean() > 0.1
    ratio = fused[:, inside] / before[:, inside]
    assert np.abs(ratio / ratio[0] - 1).max() < 0.1


def test_inks_of_sixteen_bits_become_colours(folder: Path) -> None:
    case = Case("12_extra_channels", folder)
    row = case.row("cmyk16")
    inks = 1 - case.source("cmyk16.tif") / 65535
    assert case.fused(row).shape[0] == 3
    rgb = 65535 * inks[:3] * inks[3]
    check_mean(case, row, case.source("ir.png")[0], rgb)


@pytest.mark.parametrize(
    ("name", "ir", "vi"),
    [
        ("lerc_rgb8", "ir.png", "lerc.tif"),
        ("lerc_grey16", "lerc16.tif", "vi.png"),
        ("webp_rgb8", "ir.png", "webp.tif"),
    ],
)
def test_lerc_and_webp_in_tiff_are_read(folder: Path, name: str, ir: str, vi: str) -> None:
    case = Case("14_lerc_webp_tiff", folder)
    check_mean(case, case.row(name), luminance(case.source(ir)), case.source(vi))


def test_a_pair_of_a_float_and_a_photograph_is_drawn_beside_others(folder: Path) -> None:
    case = Case("15_contact_sheet", folder)
    shown = []
    for row in case.rows(*case.pairs):
        assert row["status"] == "ok"
        ir, vi = case.pairs[row["pair_id"]]
        output = case.fixture.output
        path = row["fused_url"].removeprefix(output.root + "/")
        fused = StoredFile(output, path, row["fused_sha256"], row["fused_bytes"])
        source = case.fixture.source
        shown.append(
            ShownPair(row["pair_id"], StoredFile(source, ir), StoredFile(source, vi), {"m": fused})
        )
    url = write_contact_sheet(case.fixture.output, "sheet.png", shown, "two pairs")
    with Image.open(url) as sheet:
        pixels = np.asarray(sheet.convert("L")).astype(int)
    # The two pairs show the same scene, so their rows of the sheet are nearly the same.
    rows = [np.flatnonzero((pixels > 120).mean(axis=1) > 0.05)]
    height = rows[0].max() - rows[0].min()
    upper = pixels[rows[0].min() : rows[0].min() + height // 2]
    lower = pixels[rows[0].min() + height // 2 : rows[0].min() + 2 * (height // 2)]
    assert upper.std() > 20
    assert lower.std() > 20


def test_a_photograph_keeps_its_profile_place_and_time(folder: Path) -> None:
    case = Case("16_photo_metadata", folder)
    row = case.row("jpg")
    with Image.open(row["fused_url"]) as fused, Image.open(folder / "source/vi.jpg") as source:
        assert fused.info["icc_profile"] == source.info["icc_profile"]
        kept, told = fused.getexif(), source.getexif()
        assert kept[ExifTags.Base.DateTime] == told[ExifTags.Base.DateTime]
        gps = kept.get_ifd(ExifTags.IFD.GPSInfo)
        assert gps
        assert gps == told.get_ifd(ExifTags.IFD.GPSInfo)


def test_transparent_infrared_is_no_infrared(folder: Path) -> None:
    case = Case("17_infrared_alpha", folder)
    row = case.row("rgba")
    gone, visible = case.source("ir.png")[3] == 0, case.source("vi.png")
    fused = case.fused(row)
    np.testing.assert_array_equal(fused[:, gone], visible[:, gone])
    assert (fused[:, ~gone] != visible[:, ~gone]).any(axis=0).mean() > 0.95
    assert row["overlap"] == pytest.approx(1 - gone.mean())
    assert row["remark"] == f"{gone.sum()} pixels without infrared keep the visible values"
    opaque = Case("17_infrared_alpha", folder / "opaque")
    with rasterio.open(folder / "opaque/source/ir.png") as dataset:
        bands = dataset.read()
    Image.fromarray(np.moveaxis(bands[:3], 0, 2)).save(folder / "opaque/source/ir.png")
    opaque.listed = {r["path"]: r for r in opaque.fixture.source.list().to_pylist()}
    assert opaque.row("rgba")["vif"] != row["vif"]
