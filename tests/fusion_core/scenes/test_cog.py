"""What a fused scene keeps of its visible source to the letter, compared with rasterio."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from generated_scenes import PLACE, UTM, scene_bands
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.rpc import RPC
from rasterio.transform import Affine
from rio_cogeo.cogeo import cog_validate
from scene_fixture import LAEA, SIZE, SceneFixture, pixels_of

from fusion_core.models.baselines import BaselineFuser

TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")
DEGREES = Affine(1e-4, 0, 139.5, 0, -1e-4, 36.5)
SYSTEMS = {
    "a code": (UTM, PLACE),
    "degrees": ("EPSG:4326", DEGREES),
    "no code": (LAEA, PLACE),
    "sinusoidal": ("+proj=sinu +lon_0=0 +R=6371007.181 +units=m", PLACE),
    "geostationary": (
        "+proj=geos +h=35785831 +lon_0=140.7 +sweep=y +ellps=GRS80 +units=m",
        Affine(2000, 0, -80000, 0, -2000, 3.4e6),
    ),
    "compound": ("EPSG:32654+5773", PLACE),
    "south up": (UTM, Affine(10, 0, 399960, 0, 10, 3.9e6)),
    "west up": (UTM, Affine(-10, 0, 399960, 0, -10, 3.9e6)),
}


@pytest.fixture
def archive(tmp_path: Path) -> SceneFixture:
    return SceneFixture(tmp_path)


def fuse(archive: SceneFixture, name: str = "a") -> str:
    """Fuse a pair and return the path of the fused scene, which must be a strict COG."""
    row = archive.fuse_one(name)
    valid, errors, warnings = cog_validate(row["fused_url"], strict=True, quiet=True)
    assert (valid, list(errors), list(warnings)) == (True, [], [])
    return str(row["fused_url"])


def edited(archive: SceneFixture, name: str = "a") -> Any:
    return rasterio.open(archive.path("vi", name), "r+")


def as_type(dtype: str, bands: NDArray[np.uint16]) -> NDArray[Any]:
    """Counts of 3000 to 12000 as values that a type holds, and that fill half of its range."""
    unit = (bands.astype(np.float64) - 2000) / 12000
    if np.dtype(dtype).kind == "f":
        return (250 + 60 * unit).astype(dtype)
    limits = np.iinfo(dtype)
    return (limits.min / 2 + unit * (limits.max / 2 - limits.min / 2)).astype(dtype)


@pytest.mark.parametrize("system", SYSTEMS)
def test_system_and_transform_are_kept_to_the_letter(archive: SceneFixture, system: str) -> None:
    crs, transform = SYSTEMS[system]
    archive.put("a", crs=crs, transform=transform, ir_profile={"crs": crs, "transform": transform})
    path = fuse(archive)
    with rasterio.open(archive.path("vi", "a")) as source, rasterio.open(path) as fused:
        assert fused.crs == source.crs
        assert fused.crs.to_wkt() == source.crs.to_wkt()
        assert tuple(fused.transform) == tuple(source.transform)
        assert fused.shape == source.shape
        assert fused.bounds == source.bounds


def unit(values: NDArray[Any], row: dict[str, Any], side: str) -> NDArray[np.float64]:
    low, high = row[f"{side}_low"], row[f"{side}_high"]
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float64)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bands", [1, 3, 5])
def test_the_fused_values_are_the_sources_with_another_luminance(
    tmp_path: Path, dtype: str, bands: int
) -> None:
    """One band changes, three change alike, five keep their ratios; by the mean of both sides."""
    archive = SceneFixture(tmp_path, fuser=BaselineFuser("mean", "cpu", "fp32"))
    ir, counts = scene_bands(3, SIZE, bands, None)
    vi = as_type(dtype, counts)
    archive.put("a", ir=ir, vi=vi)
    row = archive.fuse_one("a")
    weights = {1: [1.0], 3: [0.299, 0.587, 0.114], 5: [0.2] * 5}[bands]
    old = np.einsum("n,nhw->hw", weights, vi.astype(np.float64))
    change = (unit(ir, row, "ir") - unit(old, row, "vi")) / 2 * (row["vi_high"] - row["vi_low"])
    ratio = (old + change) / old
    brighter = (old > 0) & (old + change > 0) & (bands == 5)
    expected = np.where(brighter, vi * ratio, vi + change)
    if np.dtype(dtype).kind != "f":
        limits = np.iinfo(dtype)
        expected = np.clip(np.rint(expected), limits.min, limits.max)
    found = pixels_of(row["fused_url"])
    assert found.dtype == dtype
    slack = 1.001 if np.dtype(dtype).kind != "f" else 0
    # The model sees float32: seven digits of the range between black and white.
    slack += 1e-6 * (row["vi_high"] - row["vi_low"])
    assert np.abs(found - expected).max() <= slack
    assert not np.array_equal(found, vi)


@pytest.mark.parametrize("compression", ["deflate", "zstd", "lzw", "none"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_every_compression_is_lossless(tmp_path: Path, compression: str, dtype: str) -> None:
    files = []
    for number, kind in enumerate((compression, "none")):
        fuser = BaselineFuser("mean", "cpu", "fp32")
        archive = SceneFixture(tmp_path / str(number), fuser=fuser, compression=kind)
        ir, vi = scene_bands(3, (600, 550), 2, None)
        archive.put("a", ir=ir, vi=as_type(dtype, vi))
        files.append(fuse(archive))
    with rasterio.open(files[0]) as fused:
        name = None if compression == "none" else compression.upper()
        assert fused.profile.get("compress") == (name.lower() if name else None)
        assert fused.profile["blockxsize"] == fused.profile["blockysize"] == 512
        assert fused.overviews(1) == [2]
    assert np.array_equal(*map(pixels_of, files))


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint16", 0),
        ("uint16", 65535),
        ("uint8", 255),
        ("int16", -32768),
        ("int16", -9999),
        ("float32", float("nan")),
        ("float32", -3.4e38),
        ("float64", -9999.5),
    ],
)
def test_the_nodata_mask_is_the_sources(archive: SceneFixture, dtype: str, nodata: float) -> None:
    ir, counts = scene_bands(3, SIZE, 2, None)
    vi = as_type(dtype, counts)
    vi[:, 10:30, 20:60] = nodata
    # Values beside nodata may reach it when they are fused, and must not become it.
    if np.dtype(dtype).kind != "f":
        limits = np.iinfo(dtype)
        vi[:, 40:60, 20:60] = min(max(nodata + 1, limits.min), limits.max - 1)
    archive.put("a", ir=ir, vi=vi, nodata=nodata)
    path = fuse(archive)
    with rasterio.open(archive.path("vi", "a")) as source, rasterio.open(path) as fused:
        assert fused.nodata == pytest.approx(source.nodata, nan_ok=True)
        assert fused.nodatavals == pytest.approx(source.nodatavals, nan_ok=True)
        for band in (1, 2):
            assert np.array_equal(fused.read_masks(band), source.read_masks(band))
        assert not np.array_equal(fused.read(), source.read(), equal_nan=True)
        assert np.array_equal(
            fused.read()[:, 10:30, 20:60], source.read()[:, 10:30, 20:60], equal_nan=True
        )


def test_no_valid_pixel_becomes_nodata_where_the_fused_scene_is_black(
    archive: SceneFixture,
) -> None:
    """The infrared's cold spots pull the visible scene's darkest pixels to 0, which is nodata."""
    ir, vi = scene_bands(3, SIZE, 1, None)
    vi = (vi.astype(int) - int(vi.min()) + 1).astype(np.uint16)
    archive.put("a", ir=ir, vi=vi, nodata=0)
    path = fuse(archive)
    assert pixels_of(path).min() >= 1


def test_a_mask_band_is_kept(archive: SceneFixture) -> None:
    vi = scene_bands(3, SIZE, 3, None)[1]
    missing = np.zeros(SIZE, bool)
    missing[5:25, 30:70] = True
    archive.put("a", vi=vi)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), edited(archive) as dataset:
        dataset.write_mask(~missing)
    path = fuse(archive)
    with rasterio.open(path) as fused:
        assert fused.nodata is None
        assert fused.mask_flag_enums == ([MaskFlags.per_dataset],) * 3
        assert np.array_equal(fused.dataset_mask() > 0, ~missing)
        assert np.array_equal(fused.read()[:, missing], vi[:, missing])
        assert not np.array_equal(fused.read()[:, ~missing], vi[:, ~missing])


def test_alpha_is_kept_and_its_empty_pixels_are_left_alone(archive: SceneFixture) -> None:
    vi = scene_bands(3, SIZE, 4, None)[1]
    vi[3] = 65535
    vi[3, 5:25, 30:70] = 0
    archive.put("a", vi=vi)
    with edited(archive) as dataset:
        names = ("red", "green", "blue", "alpha")
        dataset.colorinterp = [ColorInterp[name] for name in names]
    with rasterio.open(fuse(archive)) as fused:
        assert [band.name for band in fused.colorinterp] == list(names)
        found = fused.read()
    assert np.array_equal(found[3], vi[3])
    hidden = vi[3] == 0
    assert np.array_equal(found[:, hidden], vi[:, hidden])
    assert not np.array_equal(found[:3], vi[:3])


def test_what_is_said_of_bands_and_scene_is_kept(archive: SceneFixture) -> None:
    archive.put("a", vi=scene_bands(3, SIZE, 4, None)[1])
    with edited(archive) as dataset:
        dataset.scales, dataset.offsets = (0.0001, 2.0, 1.0, 1.0), (-0.1, 0.5, 0.0, 3.0)
        dataset.units = ("1", "W/m2", "", "K")
        dataset.descriptions = ("coastal", None, "rød & grøn <3>", "x")
        dataset.colorinterp = [ColorInterp[n] for n in ("blue", "green", "red", "undefined")]
        dataset.update_tags(1, wavelength="443 nm")
        dataset.update_tags(SENSOR="MSI", CLOUD_COVER="12.5", ACQUISITION_DATE="2024-05-06")
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2024-05-06T07:08:09Z")
    path = fuse(archive)
    with rasterio.open(archive.path("vi", "a")) as source, rasterio.open(path) as fused:
        for name in ("scales", "offsets", "units", "descriptions", "colorinterp"):
            assert getattr(fused, name) == getattr(source, name), name
        assert fused.tags(1)["wavelength"] == "443 nm"
        assert fused.tags().items() >= source.tags().items()
        assert fused.tags()["CLOUD_COVER"] == "12.5"
        assert fused.tags()["ACQUISITIONDATETIME"] == "2024-05-06T07:08:09Z"


def test_statistics_of_the_sources_pixels_are_dropped(archive: SceneFixture) -> None:
    archive.put("a")
    with edited(archive) as dataset:
        dataset.update_tags(1, STATISTICS_MAXIMUM="1", STATISTICS_MEAN="0.5", keep="this")
    with rasterio.open(fuse(archive)) as fused:
        assert fused.tags(1) == {"keep": "this"}


@pytest.mark.parametrize("meaning", ["Point", "Area"])
def test_pixels_that_are_points_stay_points(archive: SceneFixture, meaning: str) -> None:
    archive.put("a")
    with edited(archive) as dataset:
        dataset.update_tags(AREA_OR_POINT=meaning)
    path = fuse(archive)
    with rasterio.open(archive.path("vi", "a")) as source, rasterio.open(path) as fused:
        assert fused.tags()["AREA_OR_POINT"] == source.tags()["AREA_OR_POINT"] == meaning
        assert fused.transform == source.transform


def test_ground_control_points_are_kept(archive: SceneFixture) -> None:
    archive.put("a", crs=None, transform=None)
    points = [
        GroundControlPoint(row, column, 399960.25 + 11 * column + row, 4e6 - 9 * row, 12.5)
        for row in (0, 36, 71)
        for column in (0.5, 44, 87)
    ]
    with edited(archive) as dataset:
        dataset.gcps = points, rasterio.CRS.from_string(UTM)
    with rasterio.open(fuse(archive)) as fused:
        found, crs = fused.gcps
        assert crs.to_epsg() == 32654
        assert fused.crs is None
    fields = ("row", "col", "x", "y", "z")
    for before, after in zip(points, found, strict=True):
        assert [getattr(after, f) for f in fields] == [getattr(before, f) for f in fields]


def test_in_a_part_of_a_scene_points_and_polynomials_stay_on_their_pixels(
    archive: SceneFixture,
) -> None:
    """The infrared covers the scene from column 30 and row 20 on."""
    place = {"ir_profile": {"transform": PLACE @ Affine.translation(30, 20)}}
    points = [
        GroundControlPoint(row, column, *(PLACE @ (column, row)))
        for row in (0, 72)
        for column in (0, 88)
    ]
    archive.put("points", crs=None, transform=None, **place)
    with edited(archive, "points") as dataset:
        dataset.gcps = points, rasterio.CRS.from_string(UTM)
    archive.put("polynomials", rpcs=polynomials(line_off=36.0, samp_off=44.0), **place)
    with rasterio.open(fuse(archive, "points")) as fused:
        assert fused.shape == (52, 58)
        found, _ = fused.gcps
    ties = [(p.row, p.col, p.x, p.y) for p in found]
    assert ties == [(p.row - 20, p.col - 30, p.x, p.y) for p in points]
    with rasterio.open(fuse(archive, "polynomials")) as fused:
        assert fused.rpcs == polynomials(line_off=16.0, samp_off=14.0)


def polynomials(line_off: float, samp_off: float) -> RPC:
    one = [1.0] + [0.0] * 19
    numerators = {"line_num_coeff": [0.25 * k for k in range(20)], "samp_num_coeff": one}
    return RPC(
        **{"height_off": 10.0, "height_scale": 500.0, "lat_off": 36.25, "lat_scale": 0.125},
        **{"line_den_coeff": one, "line_off": line_off, "line_scale": 36.0, "long_off": 139.75},
        **{"long_scale": 0.25, "samp_den_coeff": one, "samp_off": samp_off, "samp_scale": 44.0},
        **{"err_bias": 1.5, "err_rand": 0.5, **numerators},
    )


def test_rational_polynomials_are_kept(archive: SceneFixture) -> None:
    rpcs = polynomials(line_off=36.0, samp_off=44.0)
    archive.put("a", crs=None, transform=None, rpcs=rpcs)
    with rasterio.open(fuse(archive)) as fused:
        assert fused.rpcs == rpcs
        assert fused.crs is None


def test_a_scene_without_any_place_has_none_afterwards(archive: SceneFixture) -> None:
    nowhere = {"crs": None, "transform": None}
    archive.put("a", vi=scene_bands(3, SIZE, 5, None)[1], ir_profile=nowhere, **nowhere)
    with rasterio.open(fuse(archive)) as fused:
        assert fused.crs is None
        assert fused.transform.is_identity
