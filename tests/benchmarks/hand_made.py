"""Fusing without a network, to see what a detector's eye and the metrics cost each other.

Around what is hot the visible image alone sets it off best, for a detector as for people; elsewhere
the brighter of both sources keeps most of what is measured as information. The share says how far
the brighter source is let in around what is hot: at 1 it is the pixel maximum everywhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from weight_sets import Pair

from fusion_core.images import luminance, replace_luminance

SHARES = {"around-hot": 0.0, "around-hot-half": 0.5}
"""The share of the brighter source around what is hot, by the name of the method."""

_SURROUNDINGS, _DEVIATIONS, _LEVEL = 20, 2, 10 / 255  # of hot: sigma, and above its blur by both
_REACH, _FULL, _EDGE = 12, 4, 1  # sigma and gain of what is around it; sigma of its own edge


def around_hot(pair: Pair, share: float) -> NDArray[np.uint8]:
    """Fuse a pair.

    Args:
        pair: The pair.
        share: Of the brighter source around what is hot, in [0, 1].
    """
    ir, vi = luminance(pair.ir), luminance(pair.vi)
    brighter = np.maximum(ir, vi)
    excess = ir - ndimage.gaussian_filter(ir, _SURROUNDINGS)
    hot = (excess > _DEVIATIONS * excess.std()) & (excess > _LEVEL)
    near = np.clip(ndimage.gaussian_filter(hot.astype(np.float32), _REACH) * _FULL, 0, 1)
    inside = ndimage.gaussian_filter(hot.astype(np.float32), _EDGE)
    around = brighter + near * (1 - share) * (vi - brighter)
    fused = inside * brighter + (1 - inside) * around
    return np.asarray(replace_luminance(pair.vi, fused))
