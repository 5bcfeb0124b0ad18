"""Measures how steady a fused video is, frame by frame."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optical_flow import OpticalFlow

from fusion_core.video.consistency import biswe, flow_d, ms2r, static, static_change, visible

TOLERANCE = 2.0
"""Grey levels by which a source may differ where it counts as standing still."""
RADIUS = 1

Plane = NDArray[np.uint8]
Flow = NDArray[np.float32]


@dataclass
class _Mean:
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        if not math.isnan(value):
            self.total += value
            self.count += 1

    def value(self) -> float | None:
        return self.total / self.count if self.count else None


@dataclass(frozen=True)
class _Step:
    """From one frame to the next: the flows of infrared, visible and fused, on and back."""

    on: list[Flow]
    back: list[Flow]


def consistency_of(
    ir: Iterable[Plane], vi: Iterable[Plane], fused: Iterable[Plane]
) -> dict[str, float | int | None]:
    """Return the means of all measures of a fused video; three frames are held at a time.

    Args:
        ir: Grey planes (H, W) of uint8 of the infrared frames, in order.
        vi: Those of the visible frames, as many and of the same size.
        fused: Those of the fused frames.

    Returns:
        ``frames``; ``biswe`` and ``ms2r``, means over all frames but the first and the last;
        ``flow_d`` and ``static_change``, over all frames but the first; ``static_share``, the mean
        share of pixels that stand still. A frame for which a measure isn't defined is left out of
        its mean, which is None where there is no other.
    """
    flow = OpticalFlow()
    names = ("biswe", "ms2r", "flow_d", "static_change", "static_share")
    means = {name: _Mean() for name in names}
    held: list[tuple[Plane, Plane, Plane]] = []
    before: _Step | None = None
    frames = 0
    for planes in zip(ir, vi, fused, strict=True):
        frames += 1
        held = [*held[-2:], planes]
        if len(held) < 2:
            continue
        pairs = list(zip(held[-2], planes, strict=True))
        step = _Step(
            [flow.between(one, other) for one, other in pairs],
            [flow.between(other, one) for one, other in pairs],
        )
        for name, value in _of_step(pairs, step).items():
            means[name].add(value)
        if before is not None:
            fused_frames = held[0][2], held[1][2], held[2][2]
            for name, value in _of_two_steps(fused_frames, before, step).items():
                means[name].add(value)
        before = step
    return {"frames": frames, **{name: mean.value() for name, mean in means.items()}}


def _of_step(pairs: list[tuple[Plane, Plane]], step: _Step) -> dict[str, float]:
    (ir_before, ir), (vi_before, vi), (fused_before, fused) = pairs
    still = static(ir_before, ir, vi_before, vi, tolerance=TOLERANCE, radius=RADIUS)
    change = static_change(
        fused_before,
        fused,
        ir_before=ir_before,
        ir=ir,
        vi_before=vi_before,
        vi=vi,
        tolerance=TOLERANCE,
        radius=RADIUS,
    )
    return {
        "flow_d": flow_d(fused_before, fused, step.back[1]),
        "static_change": change,
        "static_share": float(still.mean()),
    }


def _of_two_steps(
    frames: tuple[Plane, Plane, Plane], first: _Step, second: _Step
) -> dict[str, float]:
    """What the frame in the middle of two steps has."""
    to_before = [visible(first.back[k], first.on[k]) for k in (0, 1)]
    to_behind = [visible(second.on[k], second.back[k]) for k in (0, 1)]
    masks = to_before[0] & to_before[1], to_behind[0] & to_behind[1]
    ir, vi, fused = ((first.on[k], second.on[k]) for k in range(3))
    return {
        "biswe": biswe(frames, (first.back[2], second.on[2]), masks),
        "ms2r": ms2r(fused, ir, vi),
    }
