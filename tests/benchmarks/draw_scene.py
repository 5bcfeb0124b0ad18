"""Draws a part of the sample Landsat scene: thermal, panchromatic, and two fused images of them.

    python tests/benchmarks/draw_scene.py ONE.tif OTHER.tif OUTPUT.jpg

The scene is of the USGS, in the public domain: fields and woods at its southern edge, below clouds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from PIL import Image

SCENE = Path(__file__).resolve().parents[3] / "shared/data/landsat_thermal"
PART = np.s_[980:1242, 60:620]
CLIPPED = (0.5, 99.5)
GAP = 6


def main() -> None:
    """Write the drawing: both sources above, both fused images below."""
    options = argparse.ArgumentParser(description="Draw a part of the sample Landsat scene.")
    options.add_argument("fused", nargs=2, type=Path)
    options.add_argument("output", type=Path)
    asked = options.parse_args()
    panchromatic = grey(SCENE / "LC08_2015216_B8.tif")
    height, width = panchromatic.shape
    coarse = Image.fromarray(grey(SCENE / "LC08_2015216_B10.tif"))
    thermal = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    shown = [thermal, panchromatic, *map(grey, asked.fused)]
    parts = [np.pad(one[PART], GAP, constant_values=255) for one in shown]
    drawn = np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])
    Image.fromarray(drawn).save(asked.output, quality=88)


def grey(path: Path) -> NDArray[np.uint8]:
    """Return a band, (H, W), between its percentiles."""
    with rasterio.open(path) as band:
        values = band.read(1).astype(float)
    low, high = np.percentile(values[values > 0], CLIPPED)
    return np.asarray(np.rint(255 * np.clip((values - low) / (high - low), 0, 1)), np.uint8)


if __name__ == "__main__":
    main()
