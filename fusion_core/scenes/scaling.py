"""Scales a scene's values for the model: by one scaling for the whole scene, never per tile.

Scenes hold counts, reflectances or temperatures, of which a photograph's 0 to 255 is no part. The
scaling is chosen once, by a name, stands in the manifest, and is inverted on the way out, so that
the fused scene has the units of the visible one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.settings.scenes import SceneSettings


@dataclass(frozen=True)
class Scaling:
    """A linear scaling to [0, 1].

    Attributes:
        low: Value that becomes 0.
        high: Value that becomes 1; larger than ``low``.
    """

    low: float
    high: float

    @property
    def span(self) -> float:
        """Distance from black to white, in the scene's units."""
        return self.high - self.low

    def unit(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return values scaled to [0, 1] and clipped there, float32."""
        scaled = (values - self.low) / self.span
        return np.clip(scaled, 0, 1).astype(np.float32)

    def changed(
        self, values: NDArray[Any], unit: NDArray[np.float32], fused: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Give values the change from ``unit`` to ``fused``, in the scene's units.

        Within the scaling's range this is its inverse, ``low + fused * span``. A value beyond the
        range, which the model saw clipped, keeps what it exceeds it by.

        Args:
            values: The scene's values.
            unit: The same scaled by ``unit``.
            fused: The fused luminance that the model made of them, in [0, 1].
        """
        change = (fused.astype(np.float64) - unit) * self.span
        return np.asarray(values + change, np.float64)


def choose_scaling(
    settings: SceneSettings, side: str, dtype: str, sample: NDArray[Any]
) -> tuple[str, Scaling]:
    """Choose the scaling of one side of a scene.

    Args:
        settings: The settings, which say what scaling is wanted.
        side: ``ir`` or ``vi``.
        dtype: Data type of the file, as NumPy names it.
        sample: Luminances of valid pixels from all over the scene, in its units; may be empty.

    Returns:
        The name of the scaling that was taken, and the scaling. A scene without contrast, where
        black and white would coincide, gets a range of 1.
    """
    kind = np.dtype(dtype)
    fixed = settings.ir_range if side == "ir" else settings.vi_range
    if settings.scaling == "range" and fixed is not None:
        return "range", Scaling(*fixed)
    if settings.scaling == "type" or kind == np.uint8:
        if kind.kind == "f":
            return "type", Scaling(0.0, 1.0)
        return "type", Scaling(float(np.iinfo(kind).min), float(np.iinfo(kind).max))
    if not sample.size:
        return "percentiles", Scaling(0.0, 1.0)
    low, high = (float(value) for value in np.percentile(sample, settings.percentiles))
    return "percentiles", Scaling(low, high if high > low else low + 1.0)
