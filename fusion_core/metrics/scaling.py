"""Scales values for the model and the metrics: by one scaling for a whole image, never per tile.

Images hold counts, reflectances or temperatures as well as a photograph's 0 to 255. The scaling is
chosen once, by a name, stands in the manifest, and is inverted on the way out, so that the fused
image has the units of the visible one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

ScalingName = Literal["auto", "percentiles", "range", "type"]
Range = tuple[float, float]

PERCENTILES = (0.5, 99.5)
"""Percentiles that become black and white, unless others are asked for."""

USED = 0.25
"""Share of a container's range from which it counts as used. Counts of 14 bits in a file of 16
never span so much."""

BT601 = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in the luminance."""

_SAMPLE_SIDE = 1024


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
        """Distance from black to white, in the image's units."""
        return self.high - self.low

    def unit(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Return values scaled to [0, 1] and clipped there, float32."""
        scaled = (values - self.low) / self.span
        return np.clip(scaled, 0, 1).astype(np.float32)

    def changed(
        self, values: NDArray[Any], unit: NDArray[np.float32], fused: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """Give values the change from ``unit`` to ``fused``, in the image's units.

        Within the scaling's range this is its inverse, ``low + fused * span``. A value beyond the
        range, which the model saw clipped, keeps what it exceeds it by.

        Args:
            values: The image's values.
            unit: The same scaled by ``unit``.
            fused: The fused luminance that the model made of them, in [0, 1].
        """
        change = (fused.astype(np.float64) - unit) * self.span
        return np.asarray(values + change, np.float64)


def scaling_problem(
    name: str, *, percentiles: Range, ir_range: Range | None, vi_range: Range | None
) -> str | None:
    """Return why scaling, percentiles and ranges don't go together; None where they do."""
    if name not in get_args(ScalingName):
        return f"scaling is {name!r}; expected one of {', '.join(get_args(ScalingName))}"
    low, high = percentiles
    if not 0 <= low < high <= 100:
        return f"percentiles are {low:g} and {high:g}; expected two of 0 to 100, the lower first"
    for side, found in (("ir_range", ir_range), ("vi_range", vi_range)):
        if name == "range" and found is None:
            return (
                f"scaling is range and {side} isn't set; expected both ranges. Leave scaling at "
                "auto to fix one side alone"
            )
        if found is not None and not found[0] < found[1]:
            return f"{side} is {found}; expected two numbers, the lower first"
        if found is not None and name in ("percentiles", "type"):
            return (
                f"{side} is set and scaling is {name}, which takes no range; expected scaling auto "
                "or range"
            )
    ranges = ir_range is not None and vi_range is not None
    if tuple(percentiles) != PERCENTILES and (ranges or name == "type"):
        why = "both ranges are set" if ranges else "scaling is type"
        return f"percentiles are set and {why}, so that none is taken; leave percentiles out"
    return None


def choose_scaling(
    name: ScalingName,
    *,
    fixed: Range | None,
    percentiles: Range,
    container: Range,
    bits: int,
    photograph: bool,
    sample: NDArray[Any],
) -> tuple[str, Scaling]:
    """Choose the scaling of one image.

    - A fixed range is taken wherever there is one.
    - "type" is the container's range, and so is everything for unsigned images of 8 bits.
    - "auto" is percentiles, but for photographs that use their container: whose percentiles are
      ``USED`` of its range apart.

    Args:
        name: Which scaling is wanted.
        fixed: Values that become black and white, in the image's units, or None.
        percentiles: Percentiles that become black and white, 0 to 100.
        container: What the file's type holds at least and at most, in the image's units.
        bits: Bits of the container; 8 or fewer mean unsigned ones.
        photograph: Whether it is a photograph, that is, no scene.
        sample: Luminances of valid pixels from all over the image; may be empty.

    Returns:
        The name of the scaling that was taken ("range", "type" or "percentiles"), and the scaling.
        An image without contrast, where black and white would coincide, gets a range of 1.
    """
    if fixed is not None:
        return "range", Scaling(*fixed)
    low, high = container
    if name == "type" or bits <= 8:
        return "type", Scaling(low, high)
    if not sample.size:
        return "percentiles", Scaling(0.0, 1.0)
    black, white = (float(value) for value in np.percentile(sample, percentiles))
    if name == "auto" and photograph and white - black > USED * (high - low):
        return "type", Scaling(low, high)
    return "percentiles", Scaling(black, white if white > black else black + 1.0)


def luminances(
    image: NDArray[Any], valid: NDArray[np.bool_] | None = None
) -> NDArray[np.floating[Any] | np.integer[Any]]:
    """Return luminances from all over a photograph, as ``choose_scaling`` takes them.

    None of one of 8 bits, whose scaling doesn't depend on them.

    Args:
        image: (H, W) grey or (H, W, 3) RGB.
        valid: Which pixels count, (H, W). Default: all.
    """
    if image.dtype == np.uint8:
        return np.empty(0, np.uint8)
    part = decimated(image)
    sample: NDArray[Any] = part @ np.array(BT601, np.float32) if part.ndim == 3 else part
    return sample.ravel() if valid is None else sample[decimated(valid)]


def decimated(image: NDArray[Any]) -> NDArray[Any]:
    """Return every so many-th row and column of an image (H, W, …): 1024 of each at most."""
    step = -(-max(image.shape[:2]) // _SAMPLE_SIDE)
    return image[::step, ::step]
