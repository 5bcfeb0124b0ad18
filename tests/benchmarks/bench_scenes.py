"""What scenes cost and how well their tiles meet: reading, seams, memory, throughput.

    python tests/benchmarks/bench_scenes.py

writes results/scenes.json. It takes a quarter of an hour on two cores, five gigabytes of memory and
three of the temporary folder, and uses the Landsat scene of the sample data where it is at hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from generated_scenes import scene_bands, texture, write_raster, write_scene_pair
from rasterio.session import AWSSession
from rasterio.windows import Window
from record import alternate, ratios, spread, write
from s3_servers import S3Server, moto_server
from scene_measures import alone, fused_scene, meet, scene_in, seam_ratio, whole_scene

from fusion_core.models.fuser import load_fuser
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.tiling.grid import cut_tiles
from fusion_core.models.tiling.tile_fuser import tile_fuser
from fusion_core.scenes.raster import gdal_settings, open_raster
from fusion_core.settings.scenes import SceneSettings
from fusion_core.storage.store import Storage

HERE = Path(__file__).resolve().parent
LANDSAT = HERE.parents[2] / "shared" / "data" / "landsat"
SHIFT = 208
ROUNDS = 3


def main() -> None:
    """Measure and write the record."""
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = {
            "reading": reading(folder),
            "seams": seams(folder),
            "tiled_against_whole": tiled_against_whole(folder),
            "large_scene": large_scene(folder),
        }
    command = "python tests/benchmarks/bench_scenes.py"
    print(write("scenes", command, rounded(results)).read_text())


def rounded(value: Any) -> Any:
    """Round the numbers of a record to four digits."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def reading(folder: Path) -> dict[str, Any]:
    """Time how a scene's tiles are read from S3, against GDAL's own reader and against a copy."""
    side = 4096
    counts = (40000 * texture(1, (side, side)) + 5000).astype(np.uint16)
    layouts: dict[str, dict[str, Any]] = {
        "tiled": {"tiled": True, "blockxsize": 512, "blockysize": 512},
        "strips": {"tiled": False},
    }
    found: dict[str, Any] = {"scene": f"{side}x{side} uint16, deflate", "rounds": ROUNDS}
    with moto_server() as server:
        server.make_bucket("archive")
        os.environ.update(server.env())
        archive = Storage("s3://archive")
        for layout, options in layouts.items():
            path = write_raster(folder / f"{layout}.tif", counts, **options)
            archive.write(path.name, path.read_bytes())
            seconds = alternate(
                {
                    "fsspec": lambda name=path.name: by_fsspec(archive, name),
                    "vsis3": lambda name=path.name: by_vsis3(server, name),
                    "copy_first": lambda name=path.name: by_copy(archive, name, folder),
                },
                ROUNDS,
            )
            found[layout] = {
                "seconds": {name: spread(values) for name, values in seconds.items()},
                "vsis3_over_fsspec": spread(ratios(seconds["vsis3"], seconds["fsspec"])),
            }
    return found


def by_fsspec(archive: Storage, name: str) -> None:
    """Read all tiles as the project does."""
    row = next(row for row in archive.list().to_pylist() if row["path"] == name)
    file = row["path"], row["bytes"], row["version"]
    with gdal_settings(256), open_raster(archive, *file) as raster:
        read_tiles(raster.dataset)


def by_vsis3(server: S3Server, name: str) -> None:
    """Read them by GDAL's own S3 reader, whose cache is emptied before."""
    session = AWSSession(
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        endpoint_url=server.url.removeprefix("http://"),
    )
    with (
        rasterio.Env(
            session=session,
            AWS_HTTPS="NO",
            AWS_VIRTUAL_HOSTING="FALSE",
            GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
            GDAL_CACHEMAX=256,
            CPL_VSIL_CURL_NON_CACHED="/vsis3/",
        ),
        rasterio.open(f"s3://archive/{name}") as dataset,
    ):
        read_tiles(dataset)


def by_copy(archive: Storage, name: str, folder: Path) -> None:
    """Copy the file first."""
    archive.download(name, folder / "copy.tif")
    with rasterio.open(folder / "copy.tif") as dataset:
        read_tiles(dataset)


def read_tiles(dataset: Any) -> None:
    """Read a scene in tiles of 768 pixels with 48 around them."""
    for top in range(0, dataset.height, 768):
        for left in range(0, dataset.width, 768):
            dataset.read(1, window=Window(max(left - 48, 0), max(top - 48, 0), 864, 864))


def seams(folder: Path) -> dict[str, Any]:
    """Measure how tiles meet, of tiles that share what the scene pools and of such that don't."""
    ir, vi = scene_bands(11, (1200, 1300), bands=1)
    scenes: dict[str, Any] = {"generated": (ir, vi)}
    if LANDSAT.is_dir():
        bands = (LANDSAT / f"LC81070352015122LGN00_{band}.tif" for band in ("B4", "B2"))
        scenes["landsat"] = [rasterio.open(path).read(1) for path in bands]
    fuser = load_fuser()
    assert isinstance(fuser, NetworkFuser)
    found: dict[str, Any] = {"unit": "ratio of steps; apart: grey levels of 255 before blending"}
    for name, pixels in scenes.items():
        for side, band in zip(("ir", "vi"), pixels, strict=True):
            write_raster(folder / side / f"{name}.tif", band)
        with scene_in(folder, name, nodata=0) as pair:
            shared = tile_fuser(pair, fuser)
            for title, fuse in (
                ("pooling_together", shared),
                ("pooling_alone", lambda _, read: alone(fuser, read)),
            ):
                for shift in (0, SHIFT):
                    tiles = cut_tiles(*pair.size, 512, fuser.receptive_radius, shift=shift)
                    meeting = meet(pair, tiles, fuse)
                    found[f"{name}, {title}, grid shifted by {shift}"] = {
                        "seam_ratio": seam_ratio(meeting.blended, tiles),
                        "seam_ratio_without_blending": seam_ratio(meeting.abutted, tiles),
                        "apart": meeting.apart,
                    }
    return found


def tiled_against_whole(folder: Path) -> dict[str, Any]:
    """Compare a scene of 2000x2000 in tiles with the same in one piece, in grey levels of 255."""
    write_scene_pair(folder, "whole", (2000, 2000), bands=1, nodata=None, seed=8)
    fuser = load_fuser()
    with scene_in(folder, "whole") as pair:
        tiles = cut_tiles(*pair.size, SceneSettings().tile_size, fuser.receptive_radius)
        tiled, whole = fused_scene(pair, fuser, tiles), alone(fuser, whole_scene(pair))
    difference = 255 * np.abs(tiled - whole)
    return {
        "mean": float(difference.mean()),
        "percentile_99": float(np.percentile(difference, 99)),
        "largest": float(difference.max()),
    }


def large_scene(folder: Path) -> dict[str, Any]:
    """Fuse 20,000 x 20,000 pixels in a process of its own."""
    command = [sys.executable, str(HERE / "large_scene.py"), str(folder), "refinefuse"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


if __name__ == "__main__":
    main()
