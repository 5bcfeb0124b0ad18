"""Real pairs whose misalignment is known: published displaced ones, and aligned ones moved here.

A case says by how far, and where to, the infrared content of every fourth pixel lies off the
visible one. Pairs that their makers call aligned count as aligned by 0, which they are not quite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion_core.images.codecs import decode
from fusion_core.images.colour import luminance

STEP = 4
SETS = {
    "TNO": "tno",
    "MSRS": "msrs",
    "MSRS, detection": "detection/msrs",
    "RoadScene": "roadscene",
}

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A pair with its truth.

    Attributes:
        name: Set and pair.
        kind: aligned, shift, similarity, displaced, or unrelated, for which there is no truth.
        ir: Infrared luminance as it lies, (H, W).
        vi: Visible luminance.
        truth: Where infrared content lies relative to the visible, at every fourth pixel, x and y.
        straight: The infrared picture where it should be, if it is known.
    """

    name: str
    kind: str
    ir: Plane
    vi: Plane
    truth: NDArray[np.float32]
    straight: Plane | None = None

    @property
    def group(self) -> str:
        """The set that it is of."""
        return self.name.partition("/")[0]

    @property
    def off(self) -> float:
        """How far it is off in the mean, in pixels."""
        return float(np.hypot(*np.moveaxis(self.truth, -1, 0)).mean())

    def error(self, matrix: NDArray[np.float64]) -> float:
        """Return by how many pixels a transform misses the truth in the mean."""
        rows, columns = self.truth.shape[:2]
        y, x = np.mgrid[:rows, :columns] * float(STEP)
        points = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
        moved = matrix @ points
        found = (moved[:2] / moved[2] - points[:2]).T.reshape(self.truth.shape)
        return float(np.linalg.norm(found - self.truth, axis=-1).mean())


def read(path: Path) -> Plane:
    """Return a picture's luminance."""
    return luminance(decode(path.read_bytes()).pixels)


def _pairs(folder: Path, infrared: str = "ir") -> Iterator[tuple[str, Plane, Plane]]:
    visible = {path.stem: path for path in (folder / "vi").iterdir()}
    for path in sorted((folder / infrared).iterdir()):
        ir, vi = read(path), read(visible[path.stem])
        if ir.shape == vi.shape:
            yield path.stem, ir, vi


def aligned(data: Path) -> Iterator[Case]:
    """Yield the pairs that their makers call aligned."""
    for name, folder in SETS.items():
        for stem, ir, vi in _pairs(data / folder):
            shape = (*(-(-side // STEP) for side in vi.shape), 2)
            yield Case(f"{name}/{stem}", "aligned", ir, vi, np.zeros(shape, np.float32), ir)


def displaced(data: Path) -> Iterator[Case]:
    """Yield the published pairs that are shifted and bent.

    What lies at p + d(p) in the aligned infrared picture lies at p in theirs, so that content is
    displaced by about -d: exactly so where d is constant.
    """
    for name in ("msrs", "roadscene"):
        folder = data / "misregistered" / name
        straight = {stem: ir for stem, ir, _ in _pairs(folder)}
        for stem, ir, vi in _pairs(folder, "ir_warp"):
            d = np.load(folder / "displacement" / f"{stem}.npy").astype(np.float32)
            yield Case(f"displaced {name}/{stem}", "displaced", ir, vi, -d, straight[stem])


def moved(case: Case, kind: str, rng: np.random.Generator) -> Case:
    """Move an aligned pair's infrared picture: by a shift alone, or turned and scaled too."""
    height, width = case.vi.shape
    shift = np.exp(rng.uniform(np.log(3), np.log(40)))
    turn, scale = 0.0, 1.0
    if kind == "similarity":
        shift = rng.uniform(0, 15)
        turn, scale = np.deg2rad(rng.uniform(-7, 7)), rng.uniform(0.97, 1.03)
    way = rng.uniform(0, 2 * np.pi)
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    offset = middle - linear @ middle + shift * np.array([np.cos(way), np.sin(way)])
    forward = np.hstack([linear, offset[:, None]])
    ir = cv2.warpAffine(case.ir, forward, (width, height), flags=cv2.INTER_LINEAR)
    y, x = np.mgrid[:height:STEP, :width:STEP].astype(np.float64)
    places = np.stack([x, y], axis=-1)
    truth = places @ linear.T + offset - places
    return Case(case.name, kind, ir, case.vi, truth.astype(np.float32), case.ir)


def unrelated(cases: list[Case], count: int, rng: np.random.Generator) -> Iterator[Case]:
    """Yield pairs of one set whose two pictures show different scenes."""
    while count:
        one, other = (cases[k] for k in rng.integers(0, len(cases), 2))
        if one.group != other.group or one.name == other.name:
            continue
        height, width = (min(sides) for sides in zip(one.vi.shape, other.vi.shape, strict=True))
        ir, vi = one.ir[:height, :width], other.vi[:height, :width]
        yield Case(one.name, "unrelated", ir.copy(), vi.copy(), np.zeros((1, 1, 2), np.float32))
        count -= 1
