"""A machine without a file descriptor left: the system's fault, and not that of the files."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from generated_scenes import scene_bands, write_raster

from fusion_core.archive.plan import PairRef
from fusion_core.errors import ReadError
from fusion_core.scenes.probe import is_scene
from fusion_core.scenes.raster import gdal_settings, open_raster
from fusion_core.storage.store import Storage

MOST = 300


@contextmanager
def descriptors(left: int) -> Iterator[None]:
    """Leave this process so many descriptors during the block."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    held = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (MOST, limits[1]))
        while len(held) < MOST:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        for _ in range(left):
            os.close(held.pop())
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Storage, PairRef]:
    _, scene = scene_bands(11, (64, 80), bands=1, nodata=None)
    for side in ("ir", "vi"):
        write_raster(tmp_path / f"{side}.tif", scene)
    storage = Storage(str(tmp_path))
    rows = {row["path"]: row for row in storage.list("").to_pylist()}
    sides = {
        f"{side}_{what}": rows[f"{side}.tif"][name]
        for side in ("ir", "vi")
        for what, name in [("path", "path"), ("bytes", "bytes"), ("version", "version")]
    }
    return storage, PairRef(pair_id="a", **sides)


def read(storage: Storage, ref: PairRef) -> int:
    file = ref.vi_path, ref.vi_bytes, ref.vi_version
    with gdal_settings(64), open_raster(storage, *file) as raster, raster.reading():
        return int(np.asarray(raster.dataset.read()).size)


@pytest.mark.parametrize("left", [0, 1])  # where there is one it is ours, and GDAL finds none
def test_a_file_that_cannot_be_opened_is_not_damaged(
    pair: tuple[Storage, PairRef], left: int
) -> None:
    size = read(*pair)  # what is loaded at the first use needs descriptors, too
    with descriptors(left), pytest.raises(ReadError, match="Too many open files"):
        read(*pair)
    assert read(*pair) == size


@pytest.mark.parametrize("left", [0, 1])
def test_a_scene_that_cannot_be_opened_is_not_taken_for_a_photograph(
    pair: tuple[Storage, PairRef], left: int
) -> None:
    assert is_scene(*pair, max_megapixels=178.0)
    with descriptors(left), pytest.raises(ReadError, match="Too many open files"):
        is_scene(*pair, max_megapixels=178.0)
    assert is_scene(*pair, max_megapixels=178.0)
