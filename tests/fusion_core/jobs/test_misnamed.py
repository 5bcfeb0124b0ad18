"""What is in a file decides how it is fused, whatever its name says: rows of such pairs."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from declared_writers import jp2
from generated_scenes import PLACE, scene_bands, write_raster
from PIL import Image
from scene_fixture import SIZE, SceneFixture, path_of, two_files

from fusion_core.scenes.probe import is_scene_inside

IR, VI = scene_bands(3, SIZE, bands=1, nodata=None)
GREY = (VI >> 8).astype(np.uint8)
NOWHERE: dict[str, Any] = {"crs": None, "transform": None}


def geotiff(folder: Path, pixels: Any = VI, **profile: Any) -> bytes:
    return write_raster(folder / "made.tif", pixels, **profile).read_bytes()


def png_of(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def fused(folder: Path, ir: tuple[str, bytes], vi: tuple[str, bytes], **changes: Any) -> Any:
    """Fuse two files of such names and contents; return the row and the fused file's path."""
    archive = SceneFixture(folder, **changes)
    paths = []
    for side, (name, body) in (("ir", ir), ("vi", vi)):
        path = folder / "source" / side / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        paths.append(path)
    (row,) = archive.fuse(two_files(folder / "source", *paths))
    assert row["status"] == "ok", (row["stage"], row["error_message"])
    return row, archive.output.fs_path(path_of(archive, row))


@pytest.mark.parametrize("scene_side", ["ir", "vi", "both"])
def test_a_geotiff_named_png_is_fused_as_a_scene_with_its_place(
    tmp_path: Path, scene_side: str
) -> None:
    scene, photograph = ("a.png", geotiff(tmp_path)), ("a.png", png_of(GREY[0]))
    ir = photograph if scene_side == "vi" else scene
    vi = photograph if scene_side == "ir" else scene
    row, path = fused(tmp_path, ir, vi)
    assert path.endswith(".tif")
    with rasterio.open(path) as dataset:
        assert dataset.driver == "GTiff"
        if scene_side != "ir":
            assert (dataset.crs.to_epsg(), dataset.transform) == (32654, PLACE)
            assert dataset.dtypes[0] == "uint16"
    assert row["item_url"] is not None


def test_a_png_named_tif_is_fused_as_a_photograph(tmp_path: Path) -> None:
    row, path = fused(tmp_path, ("a.tif", png_of(GREY[0])), ("a.tif", png_of(GREY[0])))
    assert path.endswith(".png")
    assert row["item_url"] is None


def test_a_png_named_tif_is_bands_of_a_scene_beside_one(tmp_path: Path) -> None:
    row, path = fused(tmp_path, ("a.tif", png_of(GREY[0])), ("a.tif", geotiff(tmp_path)))
    with rasterio.open(path) as dataset:
        assert (dataset.crs.to_epsg(), dataset.dtypes[0]) == (32654, "uint16")
    assert "matched by pixel" in row["remark"]


@pytest.mark.parametrize("placed", [True, False])
def test_a_jpeg_2000_file_named_png_is_what_it_declares(tmp_path: Path, placed: bool) -> None:
    body = jp2(GREY, placed=placed)
    _, path = fused(tmp_path, ("a.png", body), ("a.png", body))
    assert path.endswith(".tif" if placed else ".png")
    if placed:
        with rasterio.open(path) as dataset:
            assert dataset.crs.to_epsg() == 32654


def test_beside_scenes_photographs_of_a_chunk_are_fused_too(tmp_path: Path) -> None:
    archive = SceneFixture(tmp_path)
    bodies = {"a.png": geotiff(tmp_path), "b.png": png_of(GREY[0]), "c.png": geotiff(tmp_path)}
    refs = []
    for name, body in bodies.items():
        paths = [tmp_path / "source" / side / name for side in ("ir", "vi")]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        refs.append(two_files(tmp_path / "source", *paths))
    rows = {row["pair_id"]: row for row in archive.fuse(*refs)}
    assert [row["status"] for row in rows.values()] == ["ok"] * 3
    assert [path_of(archive, rows[name])[-3:] for name in "abc"] == ["tif", "png", "tif"]


def test_only_misnamed_files_are_scenes_inside(tmp_path: Path) -> None:
    scene = geotiff(tmp_path)
    assert is_scene_inside("a.png", scene, 100)
    assert not is_scene_inside("a.TIF", scene, 100)  # which was looked into before
    assert not is_scene_inside("a.png", png_of(GREY[0]), 100)
    assert not is_scene_inside("a.png", scene[:50], 100)
    plain = geotiff(tmp_path, GREY, **NOWHERE)
    assert not is_scene_inside("a.png", plain, 100)
    assert is_scene_inside("a.png", plain, 0.001)
