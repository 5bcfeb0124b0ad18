"""Scenes whose collar no file declares, fused as if the settings had named it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from generated_scenes import PLACE, collar, scene_bands
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.transform import Affine
from scene_fixture import SceneFixture, pixels_of

from fusion_core.metrics import METRIC_NAMES
from fusion_core.models.baselines import BaselineFuser
from fusion_core.scenes.quicklook import scene_pictures
from fusion_core.storage.stored_file import StoredFile

SIZE = (150, 170)
INSIDE = collar(SIZE)
SCALINGS = [f"{side}_{name}" for side in ("ir", "vi") for name in ("scaling", "low", "high")]
REMARK = (
    "0 around the infrared and the visible image, which declare no nodata value, was taken for no "
    f"data ({(~INSIDE).mean():.1%} of the scene)"
)


def archive_in(folder: Path, **settings: Any) -> SceneFixture:
    return SceneFixture(folder, fuser=BaselineFuser("mean", "cpu", "fp32"), **settings)


def fused(folder: Path, ir: NDArray[Any], vi: NDArray[Any], **fields: Any) -> list[dict[str, Any]]:
    """Fuse a pair with nodata unset, 0 and none, and return the three rows."""
    rows = []
    for nodata in (None, 0, "none"):
        archive = archive_in(folder / str(nodata), nodata=nodata)
        archive.put("a", ir=ir, vi=vi, **fields)
        rows.append(archive.fuse_one("a"))
    return rows


def check_alike(row: dict[str, Any], other: dict[str, Any]) -> None:
    for name in (*SCALINGS, *METRIC_NAMES, "overlap", "fused_sha256"):
        assert row[name] == other[name], name


@pytest.mark.parametrize("bands", [1, 3, 5])
def test_a_scene_is_fused_as_if_the_collar_had_been_set(tmp_path: Path, bands: int) -> None:
    ir, vi = scene_bands(3, SIZE, bands, 0)
    searched, with_value, off = fused(tmp_path, ir, vi)
    check_alike(searched, with_value)
    assert (searched["remark"], with_value["remark"], off["remark"]) == (REMARK, None, None)
    assert searched["ir_low"] > 5000 > off["ir_low"] == 0
    pixels = pixels_of(searched["fused_url"])
    assert (pixels[:, ~INSIDE] == 0).all()
    assert (pixels != vi)[:, INSIDE].mean() > 0.95
    with rasterio.open(searched["fused_url"]) as dataset, rasterio.open(off["fused_url"]) as plain:
        assert (dataset.nodata, plain.nodata) == (0, None)
    assert pixels_of(off["fused_url"])[0, ~INSIDE].max() == 0  # a mean of black and black
    assert any(abs(searched[name] - off[name]) > 0.1 for name in METRIC_NAMES)


def test_zeros_within_the_scene_hold_no_data_either(tmp_path: Path) -> None:
    """One value can't mean both; that is what the setting does with it too."""
    ir, vi = scene_bands(3, SIZE, 1, 0)
    ir[70:80, 70:90] = 0
    searched, with_value, _ = fused(tmp_path, ir, vi)
    check_alike(searched, with_value)
    assert searched["remark"] == f"200 pixels without infrared keep the visible values; {REMARK}"


@pytest.mark.parametrize("resampling", ["nearest", "bilinear", "cubic"])
def test_a_warped_infrareds_collar_does_not_bleed(tmp_path: Path, resampling: str) -> None:
    ir = scene_bands(3, (75, 85), 1, 0)[0]
    vi = scene_bands(3, SIZE, 1, 0)[1]
    place = PLACE @ Affine.translation(-0.7, 0.4) @ Affine.scale(2)
    rows = []
    for nodata in (None, 0):
        archive = archive_in(tmp_path / str(nodata), nodata=nodata, resampling=resampling)
        archive.put("a", ir=ir, vi=vi, ir_profile={"transform": place})
        rows.append(archive.fuse_one("a"))
    check_alike(*rows)
    assert "0 around the infrared and the visible image" in rows[0]["remark"]
    assert rows[0]["ir_low"] >= ir[ir > 0].min()


@pytest.mark.parametrize("declaring", ["ir", "vi"])
def test_one_image_declares_its_collar(tmp_path: Path, declaring: str) -> None:
    ir, vi = scene_bands(3, SIZE, 1, 0)
    profile: dict[str, Any] = {"ir_profile": {"nodata": 0}} if declaring == "ir" else {"nodata": 0}
    searched, with_value, _ = fused(tmp_path, ir, vi, **profile)
    check_alike(searched, with_value)
    other = {"ir": "visible", "vi": "infrared"}[declaring]
    assert searched["remark"] == (
        f"0 around the {other} image, which declares no nodata value, was taken for no data "
        f"({(~INSIDE).mean():.1%} of the scene)"
    )


@pytest.mark.parametrize("how", ["mask", "alpha"])
def test_an_image_that_has_a_mask_is_not_searched(tmp_path: Path, how: str) -> None:
    archive = archive_in(tmp_path)
    ir, vi = scene_bands(3, SIZE, 1, 0)
    opaque = np.full(SIZE, 65535, np.uint16)
    archive.put("a", ir=ir, vi=np.stack([vi[0], opaque]) if how == "alpha" else vi)
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(archive.path("vi", "a"), "r+") as dataset,
    ):
        if how == "alpha":
            dataset.colorinterp = (ColorInterp.gray, ColorInterp.alpha)
        else:
            dataset.write_mask(np.full(SIZE, True))
    row = archive.fuse_one("a")
    assert row["remark"] is None
    assert (row["ir_low"], row["vi_low"]) == (0, 0)


def test_a_white_and_a_black_collar(tmp_path: Path) -> None:
    """The quicklook is clear there, and the pictures for sheets are black."""
    archive = archive_in(tmp_path)
    ir, vi = scene_bands(3, SIZE, 3, 0)
    photograph = np.where(INSIDE, vi // 64, 255).astype(np.uint8)
    archive.put("a", ir=ir, vi=photograph)
    row = archive.fuse_one("a")
    assert row["remark"] == (
        "0 around the infrared and 255 around the visible image, which declare no nodata value, "
        f"was taken for no data ({(~INSIDE).mean():.1%} of the scene)"
    )
    assert (pixels_of(row["fused_url"])[:, ~INSIDE] == 255).all()
    with Image.open(row["quicklook_url"]) as picture:
        assert np.array_equal(np.asarray(picture)[..., 3] > 0, INSIDE)
    files = [
        StoredFile(storage, path)
        for storage, path in (
            (archive.source, "ir/a.tif"),
            (archive.source, "vi/a.tif"),
            (archive.output, row["fused_url"].removeprefix(archive.output.url("") + "/")),
        )
    ]
    pictures = scene_pictures(files, files[-1])
    assert pictures is not None
    assert all((drawn[~INSIDE] == 0).all() for drawn in pictures)


@pytest.mark.parametrize("dark", ["ir", "vi", "both"])
def test_an_image_that_is_black_all_over_stays_as_it_was(tmp_path: Path, dark: str) -> None:
    ir, vi = scene_bands(3, SIZE, 1, 0)
    black = (np.zeros_like(ir), np.zeros_like(vi))
    pair = {"ir": (black[0], vi), "vi": (ir, black[1]), "both": black}[dark]
    searched, _, off = fused_unless_nothing(tmp_path, *pair)
    assert searched["remark"] is None
    assert searched["fused_sha256"] == off["fused_sha256"]


def fused_unless_nothing(folder: Path, *pair: NDArray[Any]) -> list[dict[str, Any]]:
    rows = []
    for nodata in (None, 0, "none"):
        archive = archive_in(folder / str(nodata), nodata=nodata)
        archive.put("a", *pair)
        rows += archive.fuse(archive.ref("a"))
    assert rows[1]["status"] == "failed"
    assert "hold data at no common place" in rows[1]["error_message"]
    return rows


def test_a_real_landsat_scene_is_fused_inside_its_collar_alone(
    shared_data: Path, tmp_path: Path
) -> None:
    rows = []
    for nodata in (None, 0, "none"):
        archive = archive_in(tmp_path / str(nodata), nodata=nodata)
        for side, band in (("ir", "B4"), ("vi", "B2")):
            (path,) = (shared_data / "landsat").glob(f"*_{band}.tif")
            archive.path(side, "a").parent.mkdir(parents=True)
            shutil.copyfile(path, archive.path(side, "a"))
        rows.append(archive.fuse_one("a"))
    searched, with_value, off = rows
    check_alike(searched, with_value)
    assert (
        "declare no nodata value, was taken for no data (32.0% of the scene)"
        in (searched["remark"])
    )
    assert (searched["ir_low"], off["ir_low"]) == (6426, 0)
    ir, vi = (pixels_of(archive.path(side, "a"))[0] for side in ("ir", "vi"))
    absent = (ir == 0) | (vi == 0)
    pixels = pixels_of(searched["fused_url"])[0]
    assert np.array_equal(pixels[absent], vi[absent])
    assert (pixels != vi)[~absent].mean() > 0.99
