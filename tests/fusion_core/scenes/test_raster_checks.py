from pathlib import Path

import pytest
import rasterio
from scene_fixture import opened

from fusion_core.errors import DecodeError
from fusion_core.scenes.raster_checks import check_worth


def test_a_part_may_be_ten_thousand_times_as_large_as_the_files_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    fields = {"driver": "GTiff", "dtype": "uint16", "count": 1, "sparse_ok": True, "tiled": True}
    with rasterio.open(path, "w", height=60_000, width=60_000, **fields):
        pass
    size = path.stat().st_size
    with opened(path) as raster:
        check_worth(raster, 1, 60_000)
        check_worth(raster, (1 << 29) // 60_000, 60_000)  # a GiB harms nobody
        rows = 10_000 * size // 2 // 60_000
        check_worth(raster, min(rows, 60_000), 60_000)
        with pytest.raises(DecodeError, match=rf"its {size} bytes tell of .* GB of pixels"):
            check_worth(raster, 10 * max(rows, 60_000), 60_000)
