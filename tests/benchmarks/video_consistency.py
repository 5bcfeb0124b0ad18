"""Measures how steady clips are, fused frame by frame and with what is carried over time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from flicker import consistency_of
from numpy.typing import NDArray

from fusion_core.images.colour import luminance
from fusion_core.metrics import METRIC_NAMES
from fusion_core.metrics.columns import score_columns
from fusion_core.models.fuser import load_fuser
from fusion_core.models.tiling.room import Room
from fusion_core.video.consistency import static_change
from fusion_core.video.steady import SteadyFuser

MODELS = ("refinefuse", "refinefuse-mini")
TOLERANCES = (0.0, 1.0, 2.0)  # grey levels
RADII = (0, 1)
FLOW_FRAMES = 150
"""Flows are estimated for so many frames of each clip: one takes a third of a second."""

Grey = NDArray[np.uint8]


def consistency(clips: Path) -> dict[str, Any]:
    """Return measures by model and clip, of both ways and their ratios, and the means of metrics.

    Measured is the fused luminance before it is encoded, in whole grey levels; BiSWE, MS2R and
    flowD on the first frames alone, by flows of OpenCV.
    """
    found: dict[str, Any] = {"unit": "grey levels of 255; ratios are of steady to frame by frame"}
    for model in MODELS:
        of_model: dict[str, Any] = {}
        for path in sorted((clips / "vi").glob("*.mp4")):
            ways = {
                "frame_by_frame": _measured(clips, path.name, model, steady=False),
                "steady": _measured(clips, path.name, model, steady=True),
            }
            of_model[path.stem] = {**ways, "ratios": _ratios(**ways)}
            print(model, path.stem, of_model[path.stem]["ratios"], flush=True)
        of_model["means_over_clips"] = _means_over(of_model)
        found[model] = of_model
    return found


def _measured(clips: Path, name: str, model: str, *, steady: bool) -> dict[str, Any]:
    fuser = SteadyFuser(Room(load_fuser(model)), tile_size=768, steady=steady)
    planes: dict[str, list[Grey]] = {"ir": [], "vi": [], "fused": []}
    scores: list[dict[str, Any]] = []
    for ir, vi in zip(_frames(clips / "ir" / name), _frames(clips / "vi" / name), strict=True):
        fused, _ = fuser.fuse(luminance(ir), luminance(vi))
        greys = [_grey(luminance(ir)), _grey(luminance(vi)), _grey(fused)]
        for side, grey in zip(planes, greys, strict=True):
            planes[side].append(grey)
        scores.append(score_columns(*greys))
    static = {
        f"static_change, tolerance {tolerance:g}, radius {radius}": _static(
            planes, tolerance, radius
        )
        for tolerance in TOLERANCES
        for radius in RADII
    }
    means = {m: math.fsum(score[m] for score in scores) / len(scores) for m in METRIC_NAMES}
    flows = consistency_of(*(planes[side][:FLOW_FRAMES] for side in ("ir", "vi", "fused")))
    published = {name: flows[name] for name in ("biswe", "ms2r", "flow_d")}
    return {"frames": len(scores), **published, **static, "metrics": means}


def _frames(path: Path) -> Iterator[Grey]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def _grey(unit: NDArray[np.float32]) -> Grey:
    return np.clip(np.rint(unit * 255), 0, 255).astype(np.uint8)


def _static(planes: dict[str, list[Grey]], tolerance: float, radius: int) -> float:
    ir, vi, fused = (planes[side] for side in ("ir", "vi", "fused"))
    changes = [
        static_change(
            fused[k - 1],
            fused[k],
            ir_before=ir[k - 1],
            ir=ir[k],
            vi_before=vi[k - 1],
            vi=vi[k],
            tolerance=tolerance,
            radius=radius,
        )
        for k in range(1, len(fused))
    ]
    return float(np.nanmean(changes))


def _ratios(frame_by_frame: dict[str, Any], steady: dict[str, Any]) -> dict[str, Any]:
    ratios = {
        name: steady[name] / value
        for name, value in frame_by_frame.items()
        if name not in ("frames", "metrics")
    }
    before = frame_by_frame["metrics"]
    return {**ratios, "metrics": {m: steady["metrics"][m] / before[m] for m in METRIC_NAMES}}


def _means_over(of_model: dict[str, Any]) -> dict[str, Any]:
    clips = list(of_model.values())
    names = [name for name in clips[0]["ratios"] if name != "metrics"]
    found: dict[str, Any] = {
        name: sum(clip["ratios"][name] for clip in clips) / len(clips) for name in names
    }
    frames = sum(clip["steady"]["frames"] for clip in clips)
    sums = {
        way: {
            m: sum(clip[way]["metrics"][m] * clip[way]["frames"] for clip in clips) / frames
            for m in METRIC_NAMES
        }
        for way in ("frame_by_frame", "steady")
    }
    found["metrics_of_all_frames"] = {
        m: sums["steady"][m] / sums["frame_by_frame"][m] for m in METRIC_NAMES
    }
    return found
