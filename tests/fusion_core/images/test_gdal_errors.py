"""Notices when rasterio moves the private classes that are caught, or makes them public."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.errors
from rasterio.io import MemoryFile

import fusion_core
from fusion_core.images.codecs import encode
from fusion_core.images.gdal_errors import GdalError, GdalOutOfMemoryError
from fusion_core.images.picture import Picture
from fusion_core.settings.fuse import ImageSettings


def test_the_classes_are_where_they_are_taken_from_and_nowhere_public() -> None:
    private = importlib.import_module("rasterio._err")
    assert private.CPLE_BaseError is GdalError
    assert private.CPLE_OutOfMemoryError is GdalOutOfMemoryError
    assert issubclass(GdalOutOfMemoryError, GdalError)
    assert not issubclass(GdalError, rasterio.errors.RasterioError)
    assert not [name for name in dir(rasterio.errors) if name.startswith("CPLE")]


def test_rasterio_still_raises_them() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    body = encode(Picture(pixels), ImageSettings(format="tiff"))
    with (
        MemoryFile(body[:1000] + bytes(1000) + body[2000:]) as memory,
        memory.open(driver="GTiff") as source,
        pytest.raises(rasterio.errors.RasterioIOError) as told,
    ):
        source.read()
    assert isinstance(told.value.__cause__, GdalError)


def test_no_other_module_imports_what_is_private_elsewhere() -> None:
    (root,) = fusion_core.__path__
    private = re.compile(r"^\s*(from|import)\s+\S*\b_(?!_)|^\s*from\s+\S+\s+import\s+_(?!_)", re.M)
    found = {path.name for path in Path(root).rglob("*.py") if private.search(path.read_text())}
    assert found == {"gdal_errors.py"}
