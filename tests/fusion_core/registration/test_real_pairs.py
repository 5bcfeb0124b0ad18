"""On a few real pairs: what is displaced is found and mended, and what is aligned is called so."""

from pathlib import Path

import numpy as np
import pytest

from fusion_core.images.codecs import decode
from fusion_core.images.colour import luminance
from fusion_core.registration.align import estimate
from fusion_core.registration.check import estimate_shift, limit_for
from fusion_core.registration.orientation import Plane

DISPLACED = [("msrs", "00020N"), ("msrs", "00095D"), ("roadscene", "14"), ("roadscene", "64")]


def read(folder: Path, stem: str) -> Plane:
    (path,) = folder.glob(f"{stem}.*")
    return luminance(decode(path.read_bytes()).pixels)


def off(truth: np.ndarray, matrix: np.ndarray) -> float:
    """Mean distance of a transform from displacements of every fourth pixel."""
    y, x = np.mgrid[: truth.shape[0], : truth.shape[1]] * 4.0
    moved = np.einsum("ij,jhw->ihw", matrix, np.stack([x, y, np.ones_like(x)]))
    found = np.stack([moved[0] / moved[2] - x, moved[1] / moved[2] - y], axis=-1)
    return float(np.linalg.norm(found - truth, axis=-1).mean())


@pytest.mark.parametrize(("name", "stem"), DISPLACED)
def test_a_displaced_pair_is_found_and_mended(shared_data: Path, name: str, stem: str) -> None:
    folder = shared_data / "misregistered" / name
    ir, vi = read(folder / "ir_warp", stem), read(folder / "vi", stem)
    # What lies at p + d(p) in the aligned picture lies at p here: content is displaced by -d.
    truth = -np.load(folder / "displacement" / f"{stem}.npy").astype(np.float64)
    found = estimate_shift(ir, vi)
    assert found.verdict(limit_for(*vi.shape)) == "shifted"
    assert off(truth, found.matrix(*vi.shape)) < 0.5 * off(truth, np.eye(3))
    transform = estimate(ir, vi, "affine")
    assert transform.sure
    assert off(truth, transform.matrix) < 6


@pytest.mark.parametrize(("name", "stem"), DISPLACED)
def test_the_same_pair_as_it_should_be_is_aligned(shared_data: Path, name: str, stem: str) -> None:
    folder = shared_data / "misregistered" / name
    ir, vi = read(folder / "ir", stem), read(folder / "vi", stem)
    assert estimate_shift(ir, vi).verdict(limit_for(*vi.shape)) == "aligned"
