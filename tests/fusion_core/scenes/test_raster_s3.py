from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from generated_scenes import write_raster
from numpy.typing import NDArray
from rasterio.windows import Window

from fusion_core.errors import ReadError
from fusion_core.scenes.raster import gdal_settings, open_raster
from fusion_core.storage.store import Storage

pytestmark = pytest.mark.s3

SIDE = 3500  # uncompressed, of more bytes than the blocks of one read


@pytest.fixture
def storage(s3_bucket: str) -> Storage:
    return Storage(f"s3://{s3_bucket}/archive")


@pytest.fixture(scope="module")
def noise() -> NDArray[np.uint16]:
    return np.random.default_rng(5).integers(0, 60000, (SIDE, SIDE)).astype(np.uint16)


@pytest.fixture(scope="module")
def body(noise: NDArray[np.uint16], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    blocks = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": None}
    path = write_raster(tmp_path_factory.mktemp("scene") / "large.tif", noise, **blocks)
    return path.read_bytes()


def listed(storage: Storage, path: str) -> tuple[str, int, str]:
    (row,) = storage.list(path).to_pylist()
    return row["path"], row["bytes"], row["version"]


@pytest.mark.parametrize("name", ["vi/a.tif", "vi/a b+é%41.tif"])
def test_windows_are_the_pixels_that_were_written(
    storage: Storage, noise: NDArray[np.uint16], body: bytes, name: str
) -> None:
    storage.write(name, body)
    with gdal_settings(64), open_raster(storage, *listed(storage, "vi/")) as raster:
        for top, left in ((0, 0), (3436, 3436), (1234, 77)):
            with raster.reading():
                found = raster.dataset.read(1, window=Window(left, top, 64, 64))
            assert np.array_equal(found, noise[top : top + 64, left : left + 64])


def test_a_small_window_fetches_little_of_a_large_file(
    storage: Storage, noise: NDArray[np.uint16], body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("a.tif", body)
    file = listed(storage, "a.tif")
    asked: list[int] = []
    real = storage.fs._call_s3

    async def counted(method: Any, *arguments: Any, **fields: Any) -> Any:
        if "Range" in fields:
            first, last = fields["Range"].removeprefix("bytes=").split("-")
            asked.append(int(last) + 1 - int(first))
        return await real(method, *arguments, **fields)

    monkeypatch.setattr(storage.fs, "_call_s3", counted)
    with gdal_settings(64), open_raster(storage, *file) as raster, raster.reading():
        found = raster.dataset.read(1, window=Window(2000, 2000, 64, 64))
    assert np.array_equal(found, noise[2000:2064, 2000:2064])
    assert 0 < sum(asked) < len(body) * 0.6
    assert len(asked) <= 5


def test_an_object_that_changed_since_it_was_listed_is_not_read(
    storage: Storage, body: bytes
) -> None:
    storage.write("a.tif", body)
    file = listed(storage, "a.tif")
    storage.write("a.tif", body[:-1] + b"x")
    with (
        pytest.raises(ReadError, match=r"a\.tif has .* when the archive was listed.*next run"),
        gdal_settings(64),
        open_raster(storage, *file),
    ):
        pass


def read_after(storage: Storage, change: Callable[[], None]) -> NDArray[np.uint16]:
    """Read a window of ``a.tif``, then change the store, then read all of the file."""
    file = listed(storage, "a.tif")
    with gdal_settings(64), open_raster(storage, *file) as raster, raster.reading():
        raster.dataset.read(1, window=Window(0, 0, 64, 64))
        change()
        return np.asarray(raster.dataset.read())


def test_an_object_that_changes_while_it_is_open_gives_no_mixture(
    storage: Storage, body: bytes
) -> None:
    storage.write("a.tif", body)
    other = body[: len(body) // 2] + bytes(len(body) // 2)
    with pytest.raises(ReadError, match=r"a\.tif changed while it was read") as failed:
        read_after(storage, lambda: storage.write("a.tif", other))
    assert failed.value.__cause__ is not None


def test_an_object_that_is_removed_while_it_is_open_is_named(storage: Storage, body: bytes) -> None:
    storage.write("a.tif", body)
    with pytest.raises(ReadError, match=r"a\.tif is gone"):
        read_after(storage, lambda: storage.fs.rm(storage.fs_path("a.tif")))


def test_refused_access_is_an_error_of_reading(
    storage: Storage, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("a.tif", body)
    file = listed(storage, "a.tif")
    stranger = Storage(storage.url(""), {"key": "nobody", "secret": "wrong"})
    with (
        pytest.raises(ReadError, match=r"a\.tif: access denied"),
        gdal_settings(64),
        open_raster(stranger, *file),
    ):
        pass
