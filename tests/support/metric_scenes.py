"""Scenes with gaps, and their scores tile by tile."""

import numpy as np
import pytest

from fusion_core.metrics import StreamedScores, tiles


def scene(height: int, width: int, seed: int = 0) -> list[np.ndarray]:
    """Two sources with large and small structures, and their mean."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices((height, width))
    sources = []
    for scale in (37, 11):
        waves = np.sin(rows / scale) * np.cos(columns / (2 * scale)) + np.sin(columns / 3) / 4
        noisy = waves + rng.normal(0, 0.2, waves.shape)
        sources.append(np.clip(128 + 80 * noisy, 0, 255).astype(np.uint8))
    fused = sources[0] // 2 + sources[1] // 2
    return [*sources, fused]


def filled_stream(
    images: list[np.ndarray],
    convention: str = "published",
    valid: np.ndarray | None = None,
    tile: int | None = None,
) -> StreamedScores:
    """Add all tiles, the last one first, with cores of ``tile`` pixels where that is given."""
    with pytest.MonkeyPatch.context() as patch:
        if tile is not None:
            patch.setattr(tiles, "TILE", tile)
        stream = StreamedScores(*images[0].shape[:2], convention)
        for window in reversed(list(stream.windows())):
            top, left, bottom, right = window.read
            parts = [image[top:bottom, left:right] for image in images]
            part = None if valid is None else valid[top:bottom, left:right]
            stream.add(window, *parts, valid=part)
    return stream


def streamed(
    images: list[np.ndarray],
    convention: str = "published",
    valid: np.ndarray | None = None,
    tile: int | None = None,
) -> dict[str, float]:
    return filled_stream(images, convention, valid, tile).scores()


def gaps(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Make a mask, True where there is data."""
    rows, columns = np.indices(shape)
    if kind == "salt":
        return rng.random(shape) > rng.choice([0.5, 0.05, 0.002])
    if kind == "wedge":
        row, column = (rng.uniform(0.1, 0.9) * side for side in shape)
        below = rows - row > rng.uniform(-2, 2) * (columns - column)
        return below ^ bool(rng.integers(2))
    valid = np.ones(shape, bool)
    if kind == "collar":
        top, left, bottom, right = rng.integers(0, 9, 4)
        valid[:] = False
        valid[top : shape[0] - bottom, left : shape[1] - right] = True
    if kind == "hole":
        top, left = (int(rng.integers(0, side)) for side in shape)
        height, width = rng.integers(1, 12, 2)
        valid[top : top + height, left : left + width] = False
    if kind == "islands":
        valid[rng.integers(0, shape[0])] = valid[:, rng.integers(0, shape[1])] = False
    return valid


GAPS = ("salt", "wedge", "collar", "hole", "islands", "none")
