"""What is read of files that can't be read in tiles as they lie, and what photographs become."""

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from declared_writers import png, webp
from generated_scenes import write_raster
from numpy.typing import NDArray
from PIL import ExifTags, Image
from rasterio.transform import Affine
from scene_fixture import SceneFixture, two_files

from fusion_core.errors import DecodeError, SourceChangedError
from fusion_core.models.tiling.grid import cut_tiles
from fusion_core.scenes import local_copy, stored_object
from fusion_core.scenes.localised import open_image
from fusion_core.scenes.pair import ScenePair, open_scene
from fusion_core.scenes.raster import Raster, gdal_settings
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

WIDE = HEIGHT, WIDTH = 300, 9000
CACHE_MB = 3
EARTH = {"crs": "EPSG:4326", "transform": Affine(0.05, 0, -180, 0, -0.05, 90)}

names = (f"localised-{k}" for k in itertools.count())


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_copy, "_PIECE", 1 << 20)


@pytest.fixture
def copies(tmp_path: Path) -> Path:
    folder = tmp_path / "copies"
    folder.mkdir()
    return folder


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Which bytes GDAL asks of files of stores: file, start and end."""
    ranges: list[tuple[str, int, int]] = []
    real = stored_object._File.read

    def read(file: Any, count: int = -1) -> bytes:
        start = file.tell()
        body = real(file, count)
        ranges.append((file._objects._path, start, start + len(body)))
        return body

    monkeypatch.setattr(stored_object._File, "read", read)
    return ranges


def read_twice(ranges: list[tuple[str, int, int]]) -> int:
    """Return how many bytes were asked for more than once."""
    again, end, where = 0, 0, ""
    for path, start, stop in sorted(ranges):
        end = end if path == where else 0
        where = path
        again += max(0, min(stop, end) - start)
        end = max(end, stop)
    return again


def noise(seed: int, bands: int, size: tuple[int, int] = WIDE) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(1, 4000, (bands, *size), np.uint16)


def stored_pair(folder: Path, ir: Path, vi: Path) -> tuple[Storage, Any]:
    """Put two files of this machine into a store of another kind."""
    store = Storage(f"memory://{next(names)}")
    for file in (ir, vi):
        store.write(file.name, file.read_bytes())
    listing = {row["path"]: row for row in store.list().to_pylist()}
    ref = two_files(folder, ir, vi)
    versions = {f"{side}_version": listing[f"{side}.tif"]["version"] for side in ("ir", "vi")}
    return store, ref.__class__(**{**vars(ref), **versions})


@contextmanager
def opened_pair(folder: Path, ir: Path, vi: Path, copies: Path) -> Iterator[ScenePair]:
    store, ref = stored_pair(folder, ir, vi)
    settings = FuseArchiveSettings(source=store.url(""), output="memory://out")
    with (
        gdal_settings(CACHE_MB),
        open_scene(store, ref, settings, folder=copies, max_megapixels=100) as scene,
    ):
        yield scene


def read_all(scene: ScenePair) -> None:
    for tile in cut_tiles(*scene.size, 512, 32):
        scene.read(tile.read)


@pytest.mark.parametrize(
    ("bands", "layout"),
    [
        (1, {"compress": None, "blockysize": 1}),
        (4, {"compress": None, "blockysize": 1}),
        (1, {"blockysize": 8, "zlevel": 1}),
        (4, {"blockysize": 8, "zlevel": 1, "predictor": 2}),
        (4, {"compress": None, "blockysize": 8, "interleave": "band"}),
        (2, {"blockysize": HEIGHT, "zlevel": 1}),
        (2, {"blockysize": HEIGHT, "zlevel": 1, "interleave": "band"}),
        (2, {"compress": None, "tiled": True, "blockxsize": 4096, "blockysize": 128}),
    ],
    ids=str,
)
def test_each_block_of_a_wide_scene_is_read_once(
    tmp_path: Path, copies: Path, asked: list[tuple[str, int, int]], bands: int, layout: Any
) -> None:
    pixels = noise(1, bands)
    ir = write_raster(tmp_path / "ir.tif", noise(2, 1), **layout)
    vi = write_raster(tmp_path / "vi.tif", pixels, **layout)
    with opened_pair(tmp_path, ir, vi, copies) as scene:
        read_all(scene)
        part = slice(250, 290), slice(7000, 7100)
        assert np.array_equal(scene.read(part).bands, pixels[(..., *part)])
        assert len(list(copies.iterdir())) == 2
    files = [read for read in asked if read[0] in ("ir.tif", "vi.tif")]
    size = ir.stat().st_size + vi.stat().st_size
    assert sum(stop - start for _, start, stop in files) < 1.1 * size
    assert read_twice(files) < 0.05 * size
    assert list(copies.iterdir()) == []


def test_a_wide_infrared_scene_that_is_warped_is_read_once(
    tmp_path: Path, copies: Path, asked: list[tuple[str, int, int]]
) -> None:
    shifted = Affine(10.0, 0.0, 399955.0, 0.0, -10.0, 4000015.0)
    layout = {"compress": None, "blockysize": 8}
    ir = write_raster(tmp_path / "ir.tif", noise(2, 1), transform=shifted, **layout)
    vi = write_raster(tmp_path / "vi.tif", noise(1, 1), **layout)
    with opened_pair(tmp_path, ir, vi, copies) as scene:
        assert scene.ir.warped
        read_all(scene)
    files = [read for read in asked if read[0] == "ir.tif"]
    assert sum(stop - start for _, start, stop in files) < 1.1 * ir.stat().st_size


def whole_earth(folder: Path) -> Path:
    """Write an image of the whole Earth in strips, without its pixels' being held."""
    size = 3600, 7200
    pixels = np.broadcast_to(np.arange(size[1], dtype=np.uint16), size)
    return write_raster(folder / "ir.tif", pixels, **EARTH, compress=None, blockysize=1)


@pytest.mark.parametrize(("degrees", "copied"), [(5, False), (60, True)])
def test_the_whole_earth_is_copied_only_where_much_of_it_is_needed(
    tmp_path: Path,
    copies: Path,
    asked: list[tuple[str, int, int]],
    degrees: int,
    copied: bool,
) -> None:
    ir = whole_earth(tmp_path)
    place = Affine(degrees / 300, 0, 10, 0, -degrees / 300, 60)
    vi = write_raster(
        tmp_path / "vi.tif", noise(1, 1, (300, 300)), crs="EPSG:4326", transform=place
    )
    with opened_pair(tmp_path, ir, vi, copies) as scene:
        assert len(list(copies.iterdir())) == int(copied)
        found = scene.ir.read((slice(100, 200), slice(100, 200))).luminance
    wanted = (190 + degrees / 300 * (100.5 + np.arange(100))) / 0.05 - 0.5
    assert np.abs(found - wanted).max() < 1
    read = sum(stop - start for path, start, stop in asked if path == "ir.tif")
    size = ir.stat().st_size
    assert read < 1.1 * size if copied else read < 0.2 * size


@pytest.mark.parametrize(
    ("size", "bands", "layout", "copied"),
    [
        ((300, 2049), 1, {"blockysize": 8}, True),
        ((300, 2048), 1, {"blockysize": 8}, False),
        ((2049, 300), 1, {"blockysize": 2049}, True),
        ((300, 2048), 9, {"blockysize": 8}, True),
        ((300, 512), 40, {"blockysize": 8}, False),
        ((600, 3000), 1, {"tiled": True, "blockxsize": 512, "blockysize": 512}, False),
    ],
    ids=["wide", "not wide", "tall", "many bands", "narrow", "tiles"],
)
def test_what_tiles_cross_at_great_cost_is_copied(
    tmp_path: Path, copies: Path, size: Any, bands: int, layout: Any, copied: bool
) -> None:
    ir = write_raster(tmp_path / "ir.tif", noise(2, 1, size), tiled=True)
    vi = write_raster(tmp_path / "vi.tif", noise(1, bands, size), **layout)
    with opened_pair(tmp_path, ir, vi, copies):
        assert len(list(copies.iterdir())) == int(copied)


def test_a_copy_is_removed_where_what_follows_fails(tmp_path: Path, copies: Path) -> None:
    ir = write_raster(tmp_path / "ir.tif", noise(2, 1), compress=None, blockysize=8)
    vi = write_raster(tmp_path / "vi.tif", noise(1, 1), blockysize=8)
    vi.write_bytes(vi.read_bytes()[:-200_000])
    with (
        pytest.raises(DecodeError, match=r"vi\.tif is damaged"),
        opened_pair(tmp_path, ir, vi, copies),
    ):
        pass
    assert list(copies.iterdir()) == []


def test_a_file_that_is_replaced_after_it_was_copied_is_not_fused(
    tmp_path: Path, copies: Path
) -> None:
    ir = write_raster(tmp_path / "ir.tif", noise(2, 1), compress=None, blockysize=8)
    vi = write_raster(tmp_path / "vi.tif", noise(1, 1), compress=None, blockysize=8)
    store, ref = stored_pair(tmp_path, ir, vi)
    settings = FuseArchiveSettings(source=store.url(""), output="memory://out")
    with (
        pytest.raises(SourceChangedError),
        gdal_settings(CACHE_MB),
        open_scene(store, ref, settings, folder=copies, max_megapixels=100),
    ):
        store.write("vi.tif", vi.read_bytes())
    assert list(copies.iterdir()) == []


# Photographs


@contextmanager
def opened_image(storage: Storage, name: str, copies: Path, limit: float = 1) -> Iterator[Raster]:
    (row,) = storage.list(name).to_pylist()
    with (
        gdal_settings(CACHE_MB),
        open_image(
            storage, name, row["bytes"], row["version"], folder=copies, max_megapixels=limit
        ) as raster,
    ):
        yield raster


PLANES = np.random.default_rng(5).integers(0, 256, (4, 30, 40), np.uint8)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (png(PLANES[:1], 0), PLANES[:1]),
        (png(PLANES[:3].astype(np.uint16) << 7, 2, bits=16), PLANES[:3].astype(np.uint16) << 7),
        (png(PLANES, 6), PLANES),
        (webp(PLANES[:3]), PLANES[:3]),
    ],
    ids=["grey", "16 bits", "alpha", "WebP"],
)
def test_a_photograph_becomes_bands(
    tmp_path: Path, copies: Path, body: bytes, expected: NDArray[Any]
) -> None:
    storage = Storage(str(tmp_path))
    storage.write("a.png", body)
    with opened_image(storage, "a.png", copies) as raster:
        assert raster.path == "a.png"
        assert np.array_equal(raster.dataset.read(), expected)
        assert raster.description.is_photograph
        assert raster.description.alpha == ("straight" if len(expected) == 4 else "none")
    assert list(copies.iterdir()) == []


@pytest.mark.parametrize("make", [lambda: png(PLANES[:1], 0), lambda: webp(PLANES[:3])])
def test_a_photograph_of_more_pixels_than_are_decoded_is_refused_by_its_header(
    tmp_path: Path, copies: Path, make: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(str(tmp_path))
    storage.write("a.png", make())
    monkeypatch.setattr(Image.Image, "load", None)
    with (
        pytest.raises(DecodeError, match=r"a\.png: the image has 40x30 = 0\.0 megapixels; at most"),
        opened_image(storage, "a.png", copies, limit=0.001),
    ):
        pass


@pytest.mark.parametrize(("limit", "reason"), [(1, None), (0.001, "indices into a palette")])
def test_a_large_picture_of_a_palette_is_no_grey_scene(
    tmp_path: Path, copies: Path, limit: float, reason: str | None
) -> None:
    image = Image.fromarray(PLANES[0]).convert("P")
    image.putpalette([255 - k // 3 for k in range(768)])
    image.save(tmp_path / "a.tif")
    storage = Storage(str(tmp_path))
    if reason is None:
        with opened_image(storage, "a.tif", copies, limit) as raster:
            assert raster.dataset.count == 3
        return
    with (
        pytest.raises(DecodeError, match=reason),
        opened_image(storage, "a.tif", copies, limit),
    ):
        pass


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_time_of_a_photograph_in_a_scene_is_that_of_the_scene(
    tmp_path: Path, kind: str
) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2021:05:06 07:08:09"
    file = io.BytesIO()
    Image.fromarray(PLANES[0]).save(file, kind, exif=exif.tobytes())
    archive = SceneFixture(tmp_path)
    archive.put("a", PLANES[1].astype(np.float32), PLANES[0], {"crs": None, "transform": None})
    archive.put_bytes("vi", "a", file.getvalue())
    row = archive.fuse_one("a")
    assert row["acquired"].isoformat() == "2021-05-06T07:08:09+00:00"
