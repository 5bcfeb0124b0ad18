"""Noise and blur: the two tools that the synthetic renderers share."""

import numpy as np
from PIL import Image

from fusion_core.demo.canvas import Floats

TILE = 512
CELLS_PER_METRE = 80.0


def cloudy(rng: np.random.Generator, shape: tuple[int, ...], coarsest: int, octaves: int) -> Floats:
    """Smooth noise with detail at several scales.

    Args:
        rng: source of chance.
        shape: (H, W) of the answer.
        coarsest: number of noise cells across the longer side in the first octave.
        octaves: number of octaves; each has cells half as large and half as strong.

    Returns:
        Mean about 0, standard deviation 1.
    """
    height, width = shape
    total = np.zeros((height, width), dtype=np.float32)
    longer = max(height, width)
    for octave in range(octaves):
        cells = min(coarsest * 2**octave, longer)
        grid = rng.standard_normal(
            (max(2, round(cells * height / longer)), max(2, round(cells * width / longer))),
            dtype=np.float32,
        )
        large = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(large) * np.float32(0.5**octave)
    total -= total.mean()
    return np.asarray(total / max(float(total.std()), 1e-6), dtype=np.float32)


def grain_tile(rng: np.random.Generator) -> Floats:
    """A square of fine grain to be looked up by world position.

    Returns:
        (TILE, TILE), mean about 0, standard deviation about 1.
    """
    return cloudy(rng, (TILE, TILE), coarsest=100, octaves=3)


def look_up(tile: Floats, u: Floats, v: Floats, cells_per_metre: float) -> Floats:
    """Reads an endlessly repeated tile at surface coordinates in metres.

    Args:
        tile: (TILE, TILE).
        u: (H, W) metres along the surface.
        v: (H, W) metres across it.
        cells_per_metre: how fine the tile is laid.

    Returns:
        (H, W).
    """
    scale = np.float32(cells_per_metre)
    columns = (u * scale).astype(np.int32) & (TILE - 1)
    rows = (v * scale).astype(np.int32) & (TILE - 1)
    return np.asarray(tile.ravel()[rows * TILE + columns])


def blur(plane: Floats, sigma: float) -> Floats:
    """Gaussian blur of an (H, W) plane with mirrored borders.

    A wide blur is done on a reduced copy, which looks the same and costs a fraction.
    """
    factor = int(sigma // 3)
    if factor >= 2 and min(plane.shape) >= 4 * factor:
        height, width = plane.shape
        image = Image.fromarray(plane)
        small = np.asarray(image.reduce(factor), dtype=np.float32)
        soft = Image.fromarray(blur(small, sigma / factor))
        return np.asarray(soft.resize((width, height), Image.Resampling.BILINEAR))
    radius = max(1, round(3 * sigma))
    offsets = np.arange(-radius, radius + 1, dtype=np.float32)
    taps = np.exp(-0.5 * (offsets / np.float32(max(sigma, 1e-3))) ** 2)
    taps /= taps.sum()
    for axis in (0, 1):
        pad = [(radius, radius) if a == axis else (0, 0) for a in (0, 1)]
        wide = np.pad(plane, pad, mode="symmetric")
        plane = np.zeros_like(plane)
        size = plane.shape[axis]
        for shift, tap in enumerate(taps):
            part = slice(shift, shift + size)
            plane += tap * (wide[part] if axis == 0 else wide[:, part])
    return plane
