"""All scores are within 1e-5 of float64, where an image is flat and far from its mean above all."""

from pathlib import Path

import numpy as np
import pytest
import torch
from metric_reference import reference_scores, textbook_scores
from numpy.typing import NDArray
from PIL import Image
from scored_by_torch import by_torch

from fusion_core.metrics import METRIC_NAMES, Convention, StreamedScores, score
from fusion_core.metrics.filters import gaussian_taps
from fusion_core.metrics.moments import local_covariances

Grey = NDArray[np.uint8]
SHAPE = (96, 150)
REFERENCE = {"published": reference_scores, "textbook": textbook_scores}


def parted(low: int, high: int, noise: float, seed: int) -> Grey:
    """Two flat halves far from the mean of both, with a little noise."""
    random = np.random.default_rng(seed)
    image = np.full(SHAPE, low, np.uint8)
    image[:, SHAPE[1] // 2 :] = high
    change = random.choice([0, 1], SHAPE, p=[1 - noise, noise])
    return np.where(image > 127, image - change, image + change).astype(np.uint8)


def striped(noise: float, seed: int) -> Grey:
    """Flat stripes of all levels, with a little noise: hardly a window near its tile's mean."""
    random = np.random.default_rng(seed)
    image = np.repeat(np.linspace(0, 250, SHAPE[1] // 25), 25)[None, :] + np.zeros(SHAPE)
    return (image + random.choice([0, 1], SHAPE, p=[1 - noise, noise])).astype(np.uint8)


HARD = {
    "flat halves": (parted(0, 255, 0, 1), parted(255, 0, 0.01, 2), parted(0, 255, 0.02, 3)),
    "a night sky": (parted(2, 255, 0.3, 4), parted(0, 254, 0.5, 5), parted(1, 255, 0.4, 6)),
    "one grain of noise in a hundred": tuple(parted(0, 255, 0.01, seed) for seed in (7, 8, 9)),
    "stripes": tuple(striped(0.1, seed) for seed in (10, 11, 12)),
    "one grain in a thousand": tuple(striped(0.001, seed) for seed in (13, 14, 15)),
}


def streamed(images: tuple[Grey, ...], convention: Convention) -> dict[str, float]:
    stream = StreamedScores(*images[0].shape, convention)
    for window in stream.windows():
        top, left, bottom, right = window.read
        ir, vi, fused = (image[top:bottom, left:right] for image in images)
        stream.add(window, ir, vi, fused)
    return stream.scores()


def check(images: tuple[Grey, ...], convention: Convention) -> None:
    ir, vi, fused = images
    expected = REFERENCE[convention](ir, vi, fused)
    found_ways = [score(ir, vi, fused, convention), streamed(images, convention)]
    with by_torch():
        found_ways += [score(ir, vi, fused, convention), streamed(images, convention)]
    for found in found_ways:
        for name in METRIC_NAMES:
            assert found[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-9), name


@pytest.mark.parametrize("name", [*HARD])
@pytest.mark.parametrize("convention", ["published", "textbook"])
def test_flat_and_noisy_images_score_as_in_float64(name: str, convention: Convention) -> None:
    check(HARD[name], convention)


@pytest.mark.parametrize("size", [3, 5, 9, 17])
def test_a_variance_far_from_zero_keeps_its_digits(size: int) -> None:
    taps = gaussian_taps(size, size / 5)
    random = np.random.default_rng(size)
    small = torch.from_numpy(random.choice([0.0, 1.0], (3, 2, 40, 50), p=[0.98, 0.02]))
    exact = local_covariances(small.float(), taps)
    moved = local_covariances(small.float() - 120, taps)
    for found, expected in zip(moved, exact, strict=True):
        assert float((found - expected).abs().max()) < 2e-5
    flat = local_covariances(torch.full((3, 1, 40, 50), 117.0), taps)
    assert all(float(part.abs().max()) == 0 for part in flat)


def test_published_pairs_score_as_in_float64(shared_data: Path) -> None:
    name = "20.png"  # the least precise of eight, where variances are of squares less a square
    sides = [shared_data / "tno" / side / name for side in ("ir", "vi", "fused_u2fusion")]
    if not all(path.is_file() for path in sides):
        pytest.skip("no TNO pair in ../shared/data")
    ir, vi, fused = (np.asarray(Image.open(path).convert("L"))[:300, :300] for path in sides)
    check((ir, vi, fused), "published")
