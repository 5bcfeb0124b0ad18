"""A pair of scenes of 20,000 x 20,000 pixels, and a process that fuses it and tells what it took.

    python tests/benchmarks/large_scene.py FOLDER MODEL [SIDE [THREADS]]

writes the pair below FOLDER, fuses it with MODEL, and prints seconds and memory as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import torch
from generated_scenes import texture
from numpy.typing import NDArray
from peak_memory import forget_peak, peak_bytes
from rasterio.transform import Affine
from rasterio.windows import Window
from tiny import TODAY

from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.jobs import FusionWorker, RunIdentity
from fusion_core.jobs.listing import list_pairs
from fusion_core.models.fuser import Fuser, load_fuser
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

SIDE = 20_000
_PIECE = 2048
_COLLAR = 0.1


def main(folder: Path, model: str, side: int = SIDE, threads: int = 2) -> dict[str, Any]:
    """Write, fuse, and measure; a row that isn't ok raises."""
    write_pair(folder, side)
    settings = FuseArchiveSettings(
        source=str(folder), output=str(folder / "out"), ir="{pair}_ir.tif", vi="{pair}_vi.tif"
    )
    torch.set_num_threads(threads)
    fuser = load_fuser(model)
    spent = timed(fuser)
    source, output = Storage(settings.source), Storage(settings.output)
    identity = RunIdentity("large", TODAY, fuser.model_hash, "settings")
    pairs = list_pairs(settings, source, output, TODAY, {}).pairs.to_pylist()
    worker = FusionWorker(source, output, fuser, settings, identity)
    forget_peak()
    before, begin = peak_bytes() / 2**20, time.perf_counter()
    result = worker.run(Chunk("large", (PairRef(**pairs[0]),)))
    seconds = time.perf_counter() - begin
    row = read_part(output, result.parts[0]).to_pylist()[0]
    if row["status"] != "ok":
        raise SystemExit(row["error_message"])
    stages = {name: value for name, value in row.items() if name.startswith("seconds_") and value}
    return {
        "model": f"{fuser.name}, {fuser.precision}",
        "megapixels": side * side / 1e6,
        "tile_size": settings.tile_size,
        "threads": threads,
        "seconds": seconds,
        "megapixels_per_second": side * side / 1e6 / seconds,
        "model_seconds": sum(spent),
        "times_the_model": seconds / sum(spent),
        "stages": stages,
        "peak_resident_mb": peak_bytes() / 2**20,
        "resident_mb_before": before,
        "fused_mb": row["fused_bytes"] / 1e6,
        "metrics": {name: row[name] for name in ("vif", "ag", "scd", "qabf", "sf", "en", "ssim")},
    }


def write_pair(folder: Path, side: int) -> None:
    """Write ``large_ir.tif`` and ``large_vi.tif``: uint16, 10 m, a collar of nodata 0, one grid."""
    grounds = [texture(seed, (_PIECE, _PIECE)) for seed in (1, 2)]
    for name, shares in (("ir", (0.4, 0.6)), ("vi", (0.9, 0.1))):
        ground = sum(share * image for share, image in zip(shares, grounds, strict=True))
        with rasterio.open(
            folder / f"large_{name}.tif",
            "w",
            driver="GTiff",
            height=side,
            width=side,
            count=1,
            dtype="uint16",
            nodata=0,
            crs="EPSG:32654",
            transform=Affine(10, 0, 300000, 0, -10, 4_200_000),
            tiled=True,
            blockxsize=512,
            blockysize=512,
            compress="zstd",
            zstd_level=1,
        ) as target:
            for window, pixels in _pieces(np.asarray(ground, np.float32), side):
                target.write(pixels, 1, window=window)


def timed(fuser: Fuser) -> list[float]:
    """Let a fuser note the seconds of each of its calls."""
    spent: list[float] = []
    own: Any = type(fuser)

    def call(self: Any, *arguments: Any) -> Any:
        begin = time.perf_counter()
        fused = own.__call__(self, *arguments)
        spent.append(time.perf_counter() - begin)
        return fused

    fuser.__class__ = type("Timed", (own,), {"__call__": call})
    return spent


def _pieces(ground: NDArray[np.float32], side: int) -> Iterator[tuple[Window, NDArray[np.uint16]]]:
    """Yield windows of a scene: mirrored copies of the ground, lit unevenly, in a tilted collar.

    By sums and products alone, of single precision: a scene's 400 million sines took half a minute.
    """
    for top in range(0, side, _PIECE):
        for left in range(0, side, _PIECE):
            height, width = min(_PIECE, side - top), min(_PIECE, side - left)
            y = (top + np.arange(height, dtype=np.float32))[:, None] / side
            x = (left + np.arange(width, dtype=np.float32))[None] / side
            # 0.7 + 0.5 * y * x + 0.2 * sin(7 * x + 3 * y)
            columns = np.concatenate([np.ones_like(x), x, np.sin(7 * x), np.cos(7 * x)])
            rows = [0.7 * np.ones_like(y), 0.5 * y, 0.2 * np.cos(3 * y), 0.2 * np.sin(3 * y)]
            counts = (20000 * np.concatenate(rows, axis=1)) @ columns
            mirrored = ground[:: 1 - 2 * (top // _PIECE % 2), :: 1 - 2 * (left // _PIECE % 2)]
            counts *= mirrored[:height, :width]
            counts += 5000
            counts *= (x > _COLLAR * (1 - y)) & (x < 1 - _COLLAR * y)
            yield Window(left, top, width, height), counts.astype(np.uint16)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))))
