"""Images of every kind, and how near two sets of scores have to be."""

import numpy as np
import pytest

from fusion_core.metrics import METRIC_NAMES, to_grey255

KINDS = ("noise", "smooth", "two levels", "one pixel", "constant", "16 bits")
# By metric, relative and absolute: sums of fp32 ratios, those of SSIM of both signs.
TOLERANCES = {"vif": (1e-5, 1e-7), "ssim": (1e-6, 1e-6), "qabf": (1e-6, 1e-7)}


def make(kind: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    if kind == "noise":
        return rng.integers(0, 256, shape).astype(np.uint8)
    if kind == "two levels":
        return rng.choice(rng.integers(0, 256, 2), shape).astype(np.uint8)
    image = np.full(shape, rng.integers(0, 256), np.uint8)
    if kind == "one pixel":
        image[tuple(rng.integers(0, shape))] = rng.integers(0, 256)
    if kind in ("constant", "one pixel"):
        return image
    rows, columns = np.indices(shape) / 10 * rng.uniform(0.1, 3, 2)[:, None, None]
    wave = (1 + np.sin(rows) * np.cos(columns + rng.uniform(0, 6))) / 2
    return to_grey255(wave if kind == "smooth" else (wave * 65535).astype(np.uint16))


def assert_close(
    found: dict[str, float],
    expected: dict[str, float],
    shape: tuple[int, ...],
) -> None:
    assert tuple(found) == METRIC_NAMES
    for name in METRIC_NAMES:
        rel, abs_ = TOLERANCES.get(name, (1e-6, 1e-9))
        approximately = pytest.approx(expected[name], rel=rel, abs=abs_, nan_ok=True)
        assert found[name] == approximately, (name, shape)
