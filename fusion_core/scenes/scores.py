"""The seven metrics of a fused scene, streamed from its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from fusion_core.metrics import METRIC_VERSION, StreamedScores
from fusion_core.metrics.columns import metric_columns
from fusion_core.metrics.scaling import Scaling
from fusion_core.scenes.bands import BandLayout
from fusion_core.scenes.cog import grey255, window_of


def score_scene(greys: Path, fused: Path, scaling: Scaling, device: str) -> dict[str, Any]:
    """Score a fused scene for its row of the manifest; pixels without data are left out.

    Args:
        greys: File of ``create_greys``.
        fused: The fused scene, as it is stored.
        scaling: The visible scene's scaling, which takes the fused luminance to grey values too.
        device: Where to compute.

    Returns:
        The columns that ``score_columns`` gives for photographs.
    """
    with rasterio.open(greys) as sources, rasterio.open(fused) as scene:
        layout = BandLayout.of_file(scene)
        stream = StreamedScores(scene.height, scene.width, device=device)
        for window in stream.windows():
            top, left, bottom, right = window.read
            part = window_of((slice(top, bottom), slice(left, right)))
            ir, vi, valid = sources.read(window=part)
            luminance = np.nan_to_num(layout.luminance(scene.read(window=part), scene.nodata))
            stream.add(window, ir, vi, grey255(luminance, scaling), valid=valid > 0)
    return metric_columns(stream.scores(), stream.undefined(), METRIC_VERSION)
