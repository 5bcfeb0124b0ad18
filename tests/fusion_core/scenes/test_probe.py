import dataclasses
import errno
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import rasterio
from archive_fixture import ArchiveFixture
from generated_scenes import UTM, scene_bands, write_raster
from PIL import Image
from rasterio.control import GroundControlPoint
from raw_images import raw_tiff
from scene_fixture import two_files
from tiny import pair_refs

from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.errors import DecodeError
from fusion_core.scenes.large_files import add_pixels, may_be_scenes
from fusion_core.scenes.probe import count_pixels, is_scene
from fusion_core.storage.store import Storage

SIZE = (40, 50)
NOWHERE: dict[str, Any] = {"crs": None, "transform": None}
GREY = scene_bands(3, SIZE, 1, None)[1]


def probed(folder: Path, ir: Path, vi: Path, max_megapixels: float = 100) -> bool:
    return is_scene(Storage(str(folder)), two_files(folder, ir, vi), max_megapixels)


def photograph(path: Path) -> Path:
    Image.fromarray((GREY[0] >> 8).astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize("side", ["ir", "vi"])
@pytest.mark.parametrize(
    ("dtype", "bands"), [("uint8", 1), ("uint8", 3), ("uint8", 4), ("uint16", 1), ("uint16", 3)]
)
def test_a_tiff_that_says_nothing_of_a_place_is_a_photograph(
    tmp_path: Path, side: str, bands: int, dtype: str
) -> None:
    pixels = np.ones((bands, *SIZE), dtype)
    tiff = write_raster(tmp_path / "a.tif", pixels, **NOWHERE)
    other = photograph(tmp_path / "b.png")
    assert not probed(tmp_path, *((tiff, other) if side == "ir" else (other, tiff)))


def test_a_tiff_written_byte_by_byte_is_a_photograph(tmp_path: Path) -> None:
    for name in ("a.TIFF", "b.tif"):
        (tmp_path / name).write_bytes(raw_tiff(GREY[0]))
    assert not probed(tmp_path, tmp_path / "a.TIFF", tmp_path / "b.tif")


@pytest.mark.parametrize("side", ["ir", "vi"])
@pytest.mark.parametrize(
    "fields",
    [
        {"crs": UTM, "transform": None},
        {"crs": None},
        {**NOWHERE, "nodata": 0},
        {},
    ],
    ids=["system", "transform", "nodata", "all"],
)
def test_a_place_or_a_nodata_value_makes_a_scene(
    tmp_path: Path, side: str, fields: dict[str, Any]
) -> None:
    tiff = write_raster(tmp_path / "a.tif", GREY, **fields)
    other = photograph(tmp_path / "b.png")
    assert probed(tmp_path, *((tiff, other) if side == "ir" else (other, tiff)))


@pytest.mark.parametrize("dtype", ["int16", "uint32", "float32", "float64", "int8", "complex64"])
def test_a_type_that_no_photograph_has_makes_a_scene(tmp_path: Path, dtype: str) -> None:
    tiff = write_raster(tmp_path / "a.tif", np.ones(SIZE, dtype), **NOWHERE)
    assert probed(tmp_path, photograph(tmp_path / "b.png"), tiff)


def test_more_bands_than_a_photograph_has_make_a_scene(tmp_path: Path) -> None:
    tiff = write_raster(tmp_path / "a.tif", np.ones((5, *SIZE), np.uint8), **NOWHERE)
    assert probed(tmp_path, photograph(tmp_path / "b.png"), tiff)


@pytest.mark.parametrize(("limit", "expected"), [(0.0021, False), (0.0019, True)])
def test_more_pixels_than_a_photograph_may_have_make_a_scene(
    tmp_path: Path, limit: float, expected: bool
) -> None:
    tiff = write_raster(tmp_path / "a.tif", GREY, **NOWHERE)  # 0.002 megapixels
    assert probed(tmp_path, photograph(tmp_path / "b.png"), tiff, limit) == expected


def test_ground_control_points_make_a_scene(tmp_path: Path) -> None:
    tiff = write_raster(tmp_path / "a.tif", GREY, **NOWHERE)
    with rasterio.open(tiff, "r+") as dataset:
        points = [GroundControlPoint(k, 2 * k, 1e5 + k, 4e6 - k) for k in (0, 20, 39)]
        dataset.gcps = points, rasterio.CRS.from_string(UTM)
    assert probed(tmp_path, tiff, photograph(tmp_path / "b.png"))


def test_files_of_other_names_are_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photograph(tmp_path / "a.png")
    tiff = write_raster(tmp_path / "b.tif", GREY)
    tiff.rename(tmp_path / "b.jpg")  # a scene by its content
    monkeypatch.setattr("fusion_core.scenes.probe.open_header", None)
    assert not probed(tmp_path, tmp_path / "a.png", tmp_path / "b.jpg")


def test_a_small_file_that_does_not_open_is_left_to_the_photographs(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"no image at all")
    (tmp_path / "b.tif").write_bytes(raw_tiff(GREY[0]))
    assert not probed(tmp_path, tmp_path / "a.tif", tmp_path / "b.tif")
    scene = write_raster(tmp_path / "c.tif", GREY)
    assert probed(tmp_path, tmp_path / "a.tif", scene)
    assert probed(tmp_path, scene, tmp_path / "a.tif")


def test_a_large_file_that_does_not_open_is_an_error(tmp_path: Path) -> None:
    for name, start in (("a.tif", b"II*\0"), ("a.dat", b"II*\0"), ("b.tif", b"\x89PNG")):
        with (tmp_path / name).open("wb") as file:
            file.write(start)
            file.truncate((64 << 20) + 1)
    other = photograph(tmp_path / "b.png")
    for name in ("a.tif", "a.dat"):
        with pytest.raises(DecodeError, match=f"{name} is damaged"):
            probed(tmp_path, tmp_path / name, other)
    assert not probed(tmp_path, tmp_path / "b.tif", other), "it may be a photograph, by its content"


def test_a_sequence_of_frames_is_not_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusion_core.scenes.probe.open_header", None)
    ref = PairRef("1", "ir/{frame}.tif", 1 << 30, "a", "vi/{digits}.tif", 1 << 30, "b")
    assert not is_scene(Storage(str(tmp_path)), ref, 100.0)
    batch = pa.RecordBatch.from_pylist([dataclasses.asdict(ref)])
    assert may_be_scenes(batch) == {}


def looked_at(folder: Path, *vi: str) -> pa.RecordBatch:
    batch = todo(folder, *vi)
    files = may_be_scenes(batch)
    counts = count_pixels(Storage(str(folder)), list(files.values()))
    return add_pixels(batch, dict(zip(files, counts, strict=True)))


def todo(folder: Path, *vi: str, **changes: Any) -> pa.RecordBatch:
    listing = {row["path"]: row for row in Storage(str(folder)).list().to_pylist()}
    rows = [
        {
            "pair_id": name,
            "vi_path": name,
            "vi_bytes": listing[name]["bytes"],
            "vi_version": listing[name]["version"],
            **changes,
        }
        for name in vi
    ]
    return pa.RecordBatch.from_pylist(rows)


def test_pixels_are_counted_of_what_may_be_a_scene_and_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusion_core.scenes.large_files._LARGE_ENOUGH", 1)
    write_raster(tmp_path / "a.tif", GREY)
    write_raster(tmp_path / "b.TIF", GREY[:, :7], **NOWHERE)
    photograph(tmp_path / "c.png")
    (tmp_path / "d.tif").write_bytes(b"no image")
    pixels = np.zeros(SIZE, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "e.jp2")
    names = ["c.png", "e.jp2", "d.tif", "a.tif", "b.TIF"]
    table = looked_at(tmp_path, *names)
    assert table["pair_id"].to_pylist() == names
    assert table["pixels"].to_pylist() == [0, 2000, 0, 2000, 7 * 50]
    assert table.schema.field("pixels").type == pa.int64()


def test_small_files_are_not_looked_into_for_planning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_raster(tmp_path / "a.tif", GREY)
    monkeypatch.setattr("fusion_core.scenes.probe.open_header", None)
    table = looked_at(tmp_path, "a.tif")
    assert table["pixels"].to_pylist() == [0]


def test_a_header_takes_two_small_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).integers(0, 9999, (900, 900), np.uint16)
    body = write_raster(tmp_path / "a.tif", noise).read_bytes()
    storage = Storage("memory://probe")
    storage.write("a.tif", body)
    fetched: list[int] = []
    real = storage.fs.open

    def counting(*arguments: Any, **options: Any) -> Any:
        file = real(*arguments, **options)
        read = file.read
        file.read = lambda count=-1: fetched.append(count) or read(count)
        return file

    monkeypatch.setattr(storage.fs, "open", counting)
    ref = PairRef("a", "a.tif", len(body), "v", "a.tif", len(body), "v")
    assert is_scene(storage, ref, 100)
    assert sum(fetched) < len(body) / 4


def test_no_pairs_are_no_pixels(tmp_path: Path) -> None:
    write_raster(tmp_path / "a.tif", GREY)
    none = todo(tmp_path, "a.tif").slice(0, 0)
    assert may_be_scenes(none) == {}
    assert add_pixels(none, {})["pixels"].to_pylist() == []


def test_what_is_asked_for_again_to_tell_a_scene_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = ArchiveFixture(str(tmp_path))
    for side in ("ir", "vi"):
        archive.source.write(f"{side}/t.tif", raw_tiff(np.full(SIZE, 9, np.uint8)))
    (ref,) = pair_refs(archive.settings.source, ["t"], "tif")
    whole, begun = archive.source.fs.open, []

    def busy_at_first(path: str, *how: Any, **options: Any) -> Any:
        begun.append(path)
        if len(begun) == 1:
            raise OSError(errno.EBUSY, "busy")
        return whole(path, *how, **options)

    monkeypatch.setattr(archive.source.fs, "open", busy_at_first)
    assert archive.worker().run(Chunk("part", (ref,))).ok == 1
    assert archive.rows()["t"]["retries"] == 1
