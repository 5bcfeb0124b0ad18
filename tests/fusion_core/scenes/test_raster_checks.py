"""Headers that are damaged."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scene_fixture import opened

from fusion_core.errors import DecodeError
from fusion_core.scenes.raster_checks import check_raster


def test_metadata_that_can_not_be_read_is_the_files_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path, exif=b"Exif\0\0\xff\xff\x2a\0\x08\0\0\0")
    with opened(path) as raster, pytest.raises(DecodeError, match=r"a\.jpg is damaged"):
        check_raster(raster)
