import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
from generated_scenes import write_raster
from PIL import Image
from rasterio.enums import ColorInterp

from fusion_core.metrics.scaling import Scaling
from fusion_core.scenes.quicklook import make_quicklook


@pytest.mark.parametrize("data", [1, 3, 4])
def test_pixels_of_no_opacity_are_transparent(tmp_path: Path, data: int) -> None:
    bands = np.full((data + 1, 30, 40), 120, np.uint8)
    bands[-1] = 255
    bands[-1, :9] = 0
    path = write_raster(tmp_path / "a.tif", bands)
    with rasterio.open(path, "r+") as target:
        target.colorinterp = [*target.colorinterp[:data], ColorInterp.alpha]
    with rasterio.open(path) as fused:
        body, shape = make_quicklook(fused, Scaling(0, 255))
    with Image.open(io.BytesIO(body)) as shown:
        opacity = np.asarray(shown)[..., -1]
    assert shape == (30, 40)
    assert not opacity[:9].any()
    assert (opacity[9:] == 255).all()
