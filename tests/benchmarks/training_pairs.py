"""Lays out the pairs that the packaged weights are trained on, as ``ir/{pair}.png, vi/{pair}.png``.

    python tests/benchmarks/training_pairs.py research OUTPUT
    python tests/benchmarks/training_pairs.py open OUTPUT

``research``: RoadScene, one frame in ten of three clips of M3SVD, and tiles of Landsat scenes; the
terms of the first two allow research only. ``open``: invented streets and the tiles alone. Files
are grey, 8 bits; what is there already is written again, so the folder should be a new one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

from fusion_core.demo import make_pair

Grey = NDArray[np.uint8]
Pair = tuple[str, Grey, Grey]

DATA = Path(__file__).resolve().parents[3] / "shared/data"
EVERY = 10  # frames of a clip: neighbours show the same
STREETS, FIRST_STREET = 220, 900_000
TILE, OVERLAP, COARSE_TILE = 256, 16, 384
MOST_EMPTY = 0.9
CLIPPED = (0.5, 99.5)  # percentiles, as a scene's bands are stretched by default


def main() -> None:
    """Write the pairs of a set."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("set", choices=("research", "open"))
    options.add_argument("output", type=Path)
    options.add_argument("--data", type=Path, default=DATA)
    asked = options.parse_args()
    parts = (
        [road_scenes(asked.data), clip_frames(asked.data), landsat_tiles(asked.data)]
        if asked.set == "research"
        else [streets(), landsat_tiles(asked.data)]
    )
    for folder in ("ir", "vi"):
        (asked.output / folder).mkdir(parents=True, exist_ok=True)
    count = 0
    for part in parts:
        for name, ir, vi in part:
            Image.fromarray(ir).save(asked.output / "ir" / f"{name}.png")
            Image.fromarray(vi).save(asked.output / "vi" / f"{name}.png")
            count += 1
    print(f"{count} pairs in {asked.output}")


def road_scenes(data: Path) -> Iterator[Pair]:
    """All pairs of RoadScene that are there, those for validation among them."""
    for path in sorted((data / "roadscene/ir").glob("*.jpg")):
        yield path.stem, _grey(path), _grey(data / "roadscene/vi" / path.name)


def clip_frames(data: Path) -> Iterator[Pair]:
    """One frame in ten of each clip."""
    for path in sorted((data / "video/ir").glob("*.mp4")):
        sides = (_frames(path), _frames(data / "video/vi" / path.name))
        for number, (ir, vi) in enumerate(zip(*sides, strict=True)):
            yield f"{path.stem}_{number * EVERY:04d}", ir, vi


def landsat_tiles(data: Path) -> Iterator[Pair]:
    """Tiles of thermal and visible bands, hot as white and as black, and of red and blue."""
    scene = data / "landsat_thermal"
    bands = {band: _stretched(scene / f"LC08_2015216_{band}.tif") for band in ("B2", "B3", "B4")}
    thermal = _stretched(scene / "LC08_2015216_B10.tif")
    for band, visible in bands.items():
        yield from _tiles(f"landsat_{band}", thermal, visible, TILE)
    yield from _tiles("landsat_cold", 255 - thermal, bands["B3"], TILE)
    scene = data / "landsat"
    red, blue = (_stretched(scene / f"LC81070352015122LGN00_{band}.tif") for band in ("B4", "B2"))
    yield from _tiles("landsat_coast", red, blue, COARSE_TILE)


def streets() -> Iterator[Pair]:
    """Invented streets of several sizes, by day, at night, in smoke and glare by turns."""
    for number in range(STREETS):
        random = np.random.default_rng([5, number])
        height = int(random.integers(300, 490))
        width = int(height * random.uniform(1.2, 1.6))
        pair = make_pair(FIRST_STREET + number, height, width)
        visible = np.asarray(Image.fromarray(pair.vi).convert("L"))
        yield f"street_{number:04d}_{pair.kind}", pair.ir, visible


def _grey(path: Path) -> Grey:
    return np.asarray(Image.open(path).convert("L"))


def _frames(path: Path) -> Iterator[Grey]:
    with av.open(str(path)) as clip:
        for number, frame in enumerate(clip.decode(video=0)):
            if number % EVERY == 0:
                yield np.asarray(frame.to_image().convert("L"))


def _stretched(path: Path) -> Grey:
    """Return a band between its percentiles; its collar of zeros stays black."""
    with rasterio.open(path) as band:
        values = band.read(1).astype(float)
    low, high = np.percentile(values[values > 0], CLIPPED)
    grey = np.rint(255 * np.clip((values - low) / (high - low), 0, 1)).astype(np.uint8)
    return np.where(values > 0, grey, 0).astype(np.uint8)


def _tiles(name: str, ir: Grey, vi: Grey, side: int) -> Iterator[Pair]:
    rows, columns = (range(0, length - side + 1, side - OVERLAP) for length in ir.shape)
    for row in rows:
        for column in columns:
            part = np.s_[row : row + side, column : column + side]
            if (ir[part] == 0).mean() < MOST_EMPTY:
                yield f"{name}_{row:04d}_{column:04d}", ir[part], vi[part]


if __name__ == "__main__":
    main()
