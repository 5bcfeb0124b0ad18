"""Local and memory stores here; S3 in test_raster_file_s3.py."""

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generated_scenes import scene_bands, write_raster
from numpy.typing import NDArray
from PIL import Image
from rasterio.windows import Window

from fusion_core.errors import DecodeError, ReadError, UnreachableError
from fusion_core.scenes.localised import open_image
from fusion_core.scenes.raster import gdal_settings, open_raster
from fusion_core.storage.store import Storage

WINDOWS = [(0, 0, 1, 1), (250, 300, 50, 40), (17, 140, 200, 33), (0, 0, 300, 340)]

VRT = """<VRTDataset rasterXSize="340" rasterYSize="300"><VRTRasterBand dataType="UInt16" band="1">
<SimpleSource><SourceFilename relativeToVRT="0">{path}</SourceFilename></SimpleSource>
</VRTRasterBand></VRTDataset>"""


@pytest.fixture(scope="module")
def scene() -> NDArray[np.uint16]:
    return scene_bands(11, (300, 340), bands=3, nodata=None)[1]


@pytest.fixture(params=["local", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return Storage(str(tmp_path / "archive"))
    return Storage(f"memory://archive-{uuid.uuid4().hex}")


@pytest.fixture
def memory() -> Storage:
    return Storage(f"memory://archive-{uuid.uuid4().hex}", retry_seconds=0.2)


def tiff(folder: Path, pixels: NDArray[Any], **profile: Any) -> bytes:
    path = write_raster(folder / "made.tif", pixels, **profile)
    body = path.read_bytes()
    path.unlink()
    return body


def listed(storage: Storage, path: str) -> tuple[str, int, str]:
    (row,) = storage.list(path).to_pylist()
    return row["path"], row["bytes"], row["version"]


def read_all(storage: Storage, file: tuple[str, int, str]) -> NDArray[Any]:
    with gdal_settings(64), open_raster(storage, *file) as raster, raster.reading():
        return np.asarray(raster.dataset.read())


@pytest.mark.parametrize("tiles", [{}, {"tiled": True, "blockxsize": 64, "blockysize": 64}])
def test_windows_are_the_pixels_that_were_written(
    storage: Storage, tmp_path: Path, scene: NDArray[np.uint16], tiles: dict[str, Any]
) -> None:
    storage.write("vi/a b+é.tif", tiff(tmp_path, scene, **tiles))
    with gdal_settings(64), open_raster(storage, *listed(storage, "vi/")) as raster:
        assert raster.path == "vi/a b+é.tif"
        assert raster.dataset.crs.to_epsg() == 32654
        for top, left, height, width in WINDOWS:
            with raster.reading():
                found = raster.dataset.read(window=Window(left, top, width, height))
            assert np.array_equal(found, scene[:, top : top + height, left : left + width])


def test_jpeg_2000_opens_too(storage: Storage, tmp_path: Path) -> None:
    grey = np.tile(np.arange(64, dtype=np.uint8), (48, 1))
    Image.fromarray(grey).save(tmp_path / "a.jp2")
    storage.write("a.jp2", (tmp_path / "a.jp2").read_bytes())
    found = read_all(storage, listed(storage, "a"))
    assert found.shape == (1, 48, 64)
    assert np.abs(found[0].astype(int) - grey).max() <= 8


def test_a_small_window_of_a_large_file_fetches_little_of_it(
    tmp_path: Path, memory: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(5).integers(0, 60000, (4096, 4096)).astype(np.uint16)
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": None}
    memory.write("large.tif", tiff(tmp_path, noise, **blocks))
    fetched: list[int] = []
    real = memory.fs.open

    def counted(file: Any, count: int) -> bytes:
        body = bytes(file.read(count))
        fetched.append(len(body))
        return body

    monkeypatch.setattr(memory.fs, "open", lambda *a, **k: Wrapped(real(*a, **k), counted))
    file = listed(memory, "large.tif")
    with gdal_settings(64), open_raster(memory, *file) as raster, raster.reading():
        window = raster.dataset.read(1, window=Window(2100, 1900, 64, 64))
    assert np.array_equal(window, noise[1900:1964, 2100:2164])
    assert 0 < sum(fetched) < file[1] / 20


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_a_scene_is_told_from_a_photograph_by_what_is_read_of_it_anyway(
    tmp_path: Path, memory: Storage, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write_raster(tmp_path / "a.tif", np.ones((64, 64), np.uint16))
    Image.fromarray(np.ones((64, 64), np.uint8)).save(tmp_path / "a.png")
    memory.write(name, (tmp_path / name).read_bytes())
    file, asked = listed(memory, name), []
    for what in ("open", "info"):
        real = getattr(memory.fs, what)
        counted = lambda *a, real=real, what=what, **k: (asked.append(what), real(*a, **k))[1]  # noqa: E731
        monkeypatch.setattr(memory.fs, what, counted)
    with gdal_settings(64), open_image(memory, *file, folder=tmp_path, max_megapixels=1) as raster:
        raster.dataset.read()
    assert asked == ["info", "open", "info"]


def test_a_file_that_changed_since_it_was_listed_is_not_read(
    storage: Storage, tmp_path: Path, scene: NDArray[np.uint16]
) -> None:
    storage.write("a.tif", tiff(tmp_path, scene))
    file = listed(storage, "a.tif")
    time.sleep(0.02)
    storage.write("a.tif", tiff(tmp_path, scene))  # of the same size
    with pytest.raises(ReadError, match=r"a\.tif has .* when the archive was listed.*next run"):
        read_all(storage, file)


def test_a_file_that_changes_while_it_is_open_is_an_error_at_its_end(
    storage: Storage, tmp_path: Path, scene: NDArray[np.uint16]
) -> None:
    storage.write("a.tif", tiff(tmp_path, scene))
    file = listed(storage, "a.tif")

    def read_and_replace() -> None:
        with gdal_settings(64), open_raster(storage, *file) as raster, raster.reading():
            raster.dataset.read(window=Window(0, 0, 9, 9))
            time.sleep(0.02)
            storage.write("a.tif", tiff(tmp_path, scene[:, ::-1]))

    with pytest.raises(ReadError, match=r"a\.tif has .* when the archive was listed"):
        read_and_replace()


def test_an_error_of_the_user_is_not_hidden_by_a_change_of_the_file(
    memory: Storage, tmp_path: Path, scene: NDArray[np.uint16]
) -> None:
    memory.write("a.tif", tiff(tmp_path, scene))
    file = listed(memory, "a.tif")

    def fail() -> None:
        with gdal_settings(64), open_raster(memory, *file):
            memory.write("a.tif", b"other")
            raise KeyError("the user's")

    with pytest.raises(KeyError, match="the user's"):
        fail()


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_file_that_is_gone_is_named(
    storage: Storage, tmp_path: Path, scene: NDArray[np.uint16], when: str
) -> None:
    storage.write("a.tif", tiff(tmp_path, scene))
    file = listed(storage, "a.tif")

    def read() -> None:
        if when == "before":
            storage.fs.rm(storage.fs_path("a.tif"))
        with gdal_settings(64), open_raster(storage, *file) as raster:
            if when == "between":
                storage.fs.rm(storage.fs_path("a.tif"))
            with raster.reading():
                raster.dataset.read()

    with pytest.raises(ReadError, match=r"a\.tif is gone; it was there"):
        read()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", r"a\.tif is empty \(0 bytes\)"),
        (b"<html>404</html>", r"a\.tif is no image: it starts with b'<html>40'; expected GeoTIFF"),
        (b"II", r"a\.tif is no image"),
        (b"II*\0", r"a\.tif is damaged.*upload it again"),
        (b"\x89PNG\r\n\x1a\n", r"a\.tif is no image"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", r"a\.tif is damaged"),
    ],
    ids=lambda value: repr(value[:8]) if isinstance(value, bytes) else "",
)
def test_what_is_no_image_is_refused_with_its_reason(
    storage: Storage, body: bytes, reason: str
) -> None:
    storage.write("a.tif", body)
    with pytest.raises(DecodeError, match=reason):
        read_all(storage, listed(storage, "a.tif"))


@pytest.mark.parametrize("share", [0.999, 0.5, 0.02])
def test_a_truncated_file_is_damaged_and_not_unreadable(
    storage: Storage, tmp_path: Path, scene: NDArray[np.uint16], share: float
) -> None:
    body = tiff(tmp_path, scene)
    storage.write("a.tif", body[: int(share * len(body))])
    with pytest.raises(DecodeError, match=r"a\.tif is damaged: .*xpected a whole file"):
        read_all(storage, listed(storage, "a.tif"))


@pytest.mark.parametrize("ending", [".vrt", ".tif"])
def test_a_text_that_points_to_another_file_is_not_followed(
    storage: Storage, tmp_path: Path, scene: NDArray[np.uint16], ending: str
) -> None:
    secret = write_raster(tmp_path / "secret.tif", scene[0])
    storage.write(f"a{ending}", VRT.format(path=secret).encode())
    with pytest.raises(DecodeError, match="is no image: it starts with b'<VRTData'"):
        read_all(storage, listed(storage, "a"))


def test_files_beside_a_local_one_change_nothing(tmp_path: Path, scene: NDArray[np.uint16]) -> None:
    """A world file and GDAL's .aux.xml are seen in no store, so that all stores are alike."""
    write_raster(tmp_path / "a.tif", scene, crs=None, transform=None, compress=None)
    (tmp_path / "a.tfw").write_text("10\n0\n0\n-10\n5\n5\n")
    (tmp_path / "a.tif.aux.xml").write_text(
        '<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand>'
        "</PAMDataset>"
    )
    storage = Storage(str(tmp_path))
    (row,) = (row for row in storage.list().to_pylist() if row["path"] == "a.tif")
    file = row["path"], row["bytes"], row["version"]
    with gdal_settings(64), open_raster(storage, *file) as raster:
        assert raster.dataset.transform.is_identity
        assert raster.dataset.nodata is None
    assert sorted(os.listdir(tmp_path)) == ["a.tfw", "a.tif", "a.tif.aux.xml"]


class Wrapped:
    """A file of a store, seen through a test."""

    def __init__(self, file: Any, read: Callable[[Any, int], bytes]):
        self.file, self.reader = file, read

    def read(self, count: int = -1) -> bytes:
        return self.reader(self.file, count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def __enter__(self) -> "Wrapped":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


AWAY = r"can't read .*a\.tif: .* gave no whole answer .*the cable was pulled"


def failing_from(opening: Callable[..., Any], start: int) -> Callable[..., Wrapped]:
    """Open as a store does whose files can't be read from a position on."""

    def read(file: Any, count: int) -> bytes:
        if file.tell() >= start:
            raise ConnectionResetError("the cable was pulled")
        return bytes(file.read(count))

    return lambda *arguments, **options: Wrapped(opening(*arguments, **options), read)


@pytest.mark.parametrize("broken_from", [1, 4 << 20])
def test_a_store_that_fails_while_pixels_are_read_is_named_as_the_cause(
    tmp_path: Path, memory: Storage, monkeypatch: pytest.MonkeyPatch, broken_from: int
) -> None:
    noise = np.random.default_rng(5).integers(0, 60000, (2000, 2200)).astype(np.uint16)
    memory.write("a.tif", tiff(tmp_path, noise, compress=None))
    monkeypatch.setattr(memory.fs, "open", failing_from(memory.fs.open, broken_from))
    with pytest.raises(UnreachableError, match=AWAY) as failed:
        read_all(memory, listed(memory, "a.tif"))
    assert isinstance(failed.value.__cause__, ConnectionResetError)


def test_a_store_that_opens_nothing_is_named_as_the_cause(
    tmp_path: Path,
    memory: Storage,
    scene: NDArray[np.uint16],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory.write("a.tif", tiff(tmp_path, scene))
    file = listed(memory, "a.tif")

    def opening(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError("the cable was pulled")

    monkeypatch.setattr(memory.fs, "open", opening)
    with pytest.raises(UnreachableError, match=AWAY):
        read_all(memory, file)


def test_a_short_read_that_gdal_passes_over_is_an_error_all_the_same(
    tmp_path: Path, memory: Storage, scene: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.write("a.tif", tiff(tmp_path, scene))

    def read() -> None:
        with gdal_settings(64), open_raster(memory, *listed(memory, "a.tif")) as raster:
            monkeypatch.setattr(memory.fs, "open", failing_from(memory.fs.open, 0))
            with raster.reading(), raster._objects.open("a.tif") as file:
                assert file.read(10) == b""

    with pytest.raises(UnreachableError, match=AWAY):
        read()
