"""CIELab to sRGB, by the formulas of CIE 15 and IEC 61966-2-1, with Bradford's adaptation."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_D50 = np.array([0.96422, 1.0, 0.82521])
_TO_LINEAR = np.array(  # from XYZ under D50, adapted by Bradford
    [
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ]
)


def lab_to_srgb(lab: NDArray[Any]) -> NDArray[np.float64]:
    """Return sRGB (3, H, W) in [0, 1] of lightness 0 to 100 and a and b (3, H, W)."""
    lightness, a, b = lab
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200])
    cubed = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    linear = np.einsum("ij,jhw->ihw", _TO_LINEAR, cubed * _D50[:, None, None])
    clipped = np.clip(linear, 0, 1)
    curve = 1.055 * clipped ** (1 / 2.4) - 0.055
    return np.asarray(np.where(clipped <= 0.0031308, 12.92 * clipped, curve))
