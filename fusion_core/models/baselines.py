"""Methods of fusing without a network, to compare with: mean, maximum, pyramid, guided filter.

Each is a function of infrared and visible luminance, (B, 1, H, W), float32, in [0, 1], any H and W
from 1 up, and gives the fused luminance of that shape; ``BaselineFuser`` clamps it to [0, 1].
"""

import hashlib
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fusion_core.errors import SettingsError
from fusion_core.models.box_filter import box_mean
from fusion_core.models.device import ResolvedPrecision, resolve_device
from fusion_core.models.names import EngineName
from fusion_core.models.padding import check_pair, take_reflected
from fusion_core.settings.fuse import EngineChoice, Precision

BASELINE_VERSION = 1
"""Raised whenever a baseline's pixels change, so that resuming never mixes two generations."""

LEVELS = 4
"""Detail levels of the Laplacian pyramid; fewer where an image has shrunk to one pixel before."""

_ROWS, _COLUMNS = -2, -1
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)

# Guided-filter fusion: the parameters that its authors recommend.
_BASE_RADIUS = 15
_SALIENCY_RADIUS, _SALIENCY_SIGMA = 5, 5.0
_BASE_FILTER = (45, 0.3)
_DETAIL_FILTER = (7, 1e-6)


def mean(ir: Tensor, vi: Tensor) -> Tensor:
    """Return the mean of each pixel."""
    return (ir + vi) / 2


def maximum(ir: Tensor, vi: Tensor) -> Tensor:
    """Return the brighter of both pixels."""
    return torch.maximum(ir, vi)


def laplacian(ir: Tensor, vi: Tensor) -> Tensor:
    """Fuse in a Laplacian pyramid: of two details the stronger one, of two bases the brighter.

    Source: Burt, Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE Trans.
    Communications 31(4), 1983, with their 5-tap kernel for a = 3/8, the binomial one. Borders are
    reflected without repeating the edge. Where two details are equally strong the infrared one
    wins.
    """
    details = []
    for _ in range(LEVELS):
        if max(ir.shape[-2:]) == 1:
            break
        coarse_ir, coarse_vi = reduce(ir), reduce(vi)
        detail_ir = ir - expand(coarse_ir, ir.shape)
        detail_vi = vi - expand(coarse_vi, vi.shape)
        details.append(torch.where(detail_ir.abs() >= detail_vi.abs(), detail_ir, detail_vi))
        ir, vi = coarse_ir, coarse_vi
    fused = torch.maximum(ir, vi)
    for detail in reversed(details):
        fused = detail + expand(fused, detail.shape)
    return fused


def reduce(image: Tensor) -> Tensor:
    """Smooth and take every second row and column: (…, H, W) to (…, ⌈H/2⌉, ⌈W/2⌉)."""
    for dim in (_ROWS, _COLUMNS):
        if image.shape[dim] > 1:
            image = _filter(image, _BINOMIAL, dim)
            image = image[..., ::2, :] if dim == _ROWS else image[..., ::2]
    return image


def expand(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Undo the halving of ``reduce`` by interpolation: to the height and width of ``shape``."""
    for dim in (_ROWS, _COLUMNS):
        if shape[dim] > 1:
            sizes = list(image.shape)
            sizes[dim] = shape[dim]
            spread = image.new_zeros(sizes)
            kept = spread[..., ::2, :] if dim == _ROWS else spread[..., ::2]
            kept.copy_(image)
            image = 2 * _filter(spread, _BINOMIAL, dim)
    return image


def guided(ir: Tensor, vi: Tensor) -> Tensor:
    """Fuse a base and a detail layer, each by weights that a guided filter aligns with the edges.

    Source: Li, Kang, Hu, "Image Fusion with Guided Filtering", IEEE Trans. Image Processing 22(7),
    2013: base by a 31x31 mean; saliency, the absolute Laplacian smoothed by a Gaussian (radius 5,
    sigma 5), decides each pixel; the decision is filtered with the image as guide, radius 45 and
    eps 0.3 for the base, radius 7 and eps 1e-6 for the detail; the weights of both images are
    normalised to a sum of 1. The paper leaves open, and here: windows are cut off at the border,
    Laplacian and Gaussian see it reflected, equal saliencies share a pixel, weights below 0 are 0.

    The variances are differences of nearly equal numbers, set against an eps of 1e-6, which fp32
    can't resolve: it computes in float64.
    """
    a, b = ir.double(), vi.double()
    base_a, base_b = box_mean(a, _BASE_RADIUS), box_mean(b, _BASE_RADIUS)
    salient_a, salient_b = _saliency(a), _saliency(b)
    a_wins, b_wins = (salient_a >= salient_b).double(), (salient_b >= salient_a).double()
    del salient_a, salient_b
    weight = _share((a, b), (a_wins, b_wins), *_BASE_FILTER)
    fused = base_b + weight * (base_a - base_b)
    weight = _share((a, b), (a_wins, b_wins), *_DETAIL_FILTER)
    detail_a, detail_b = a - base_a, b - base_b
    return (fused + detail_b + weight * (detail_a - detail_b)).to(ir.dtype)


def guided_filter(image: Tensor, guide: Tensor, radius: int, eps: float) -> Tensor:
    """Smooth ``image`` but for the edges of ``guide``; both (…, H, W), float64.

    Source: He, Sun, Tang, "Guided Image Filtering", IEEE TPAMI 35(6), 2013, eq. 5, 6 and 8.

    Args:
        image: What is filtered.
        guide: The image whose edges are kept: the result is a local linear function of it.
        radius: Radius of the square windows, in pixels.
        eps: Variance of the guide below which a window counts as flat.
    """
    mean_image, mean_guide = box_mean(image, radius), box_mean(guide, radius)
    covariance = box_mean(image * guide, radius) - mean_image * mean_guide
    variance = box_mean(guide * guide, radius) - mean_guide * mean_guide
    slope = covariance / (variance + eps)
    offset = mean_image - slope * mean_guide
    return box_mean(slope, radius) * guide + box_mean(offset, radius)


def _saliency(image: Tensor) -> Tensor:
    """Return the absolute Laplacian (4 neighbours), smoothed by a Gaussian."""
    edges = sum(
        take_reflected(image, dim, -1, image.shape[dim] - 1)
        + take_reflected(image, dim, 1, image.shape[dim] + 1)
        for dim in (_ROWS, _COLUMNS)
    )
    smooth = (edges - 4 * image).abs()
    radius = _SALIENCY_RADIUS
    taps = [math.exp(-(k**2) / (2 * _SALIENCY_SIGMA**2)) for k in range(-radius, radius + 1)]
    for dim in (_ROWS, _COLUMNS):
        smooth = _filter(smooth, [tap / sum(taps) for tap in taps], dim)
    return smooth


def _share(
    images: tuple[Tensor, Tensor], wins: tuple[Tensor, Tensor], radius: int, eps: float
) -> Tensor:
    """Return the weight of the first image, in [0, 1]; the second's is what is missing to 1."""
    weight_a = guided_filter(wins[0], images[0], radius, eps).clamp(min=0)
    total = weight_a + guided_filter(wins[1], images[1], radius, eps).clamp(min=0)
    return torch.where(total > 0, weight_a / total, 0.5)


def _filter(image: Tensor, taps: Sequence[float], dim: int) -> Tensor:
    """Correlate one side of (…, H, W) with an odd number of taps; the border is reflected."""
    size, radius = image.shape[dim], len(taps) // 2
    padded = take_reflected(image, dim, -radius, size + radius)
    filtered = taps[0] * padded.narrow(dim, 0, size)
    for place, tap in enumerate(taps[1:], start=1):
        filtered.add_(padded.narrow(dim, place, size), alpha=tap)
    return filtered


BASELINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": mean,
    "maximum": maximum,
    "laplacian": laplacian,
    "guided": guided,
}


# The pyramid's five taps at steps of 1, 2, 4 and 8, down and up again; the guided filter's means of
# means, over a decision that looks 6 pixels far.
_RECEPTIVE_RADIUS = {
    "mean": 0,
    "maximum": 0,
    "laplacian": 4 * (2**LEVELS - 1),
    "guided": 2 * _BASE_FILTER[0] + _SALIENCY_RADIUS + 1,
}

# Measured on a CPU, at 800x600 to 4000x3000 pixels: 8 to 9, 8 to 9, 31 to 34; and 169 to 332, where
# large buffers go back to the system at once, and small ones stay with the C library.
_BYTES_PER_PIXEL = {"mean": 12, "maximum": 12, "laplacian": 40, "guided": 300}


def baseline_hash(name: str) -> str:
    """Return a baseline's model hash: the sha256 over its name and version, in hex."""
    return hashlib.sha256(f"{name} {BASELINE_VERSION}".encode()).hexdigest()


class BaselineFuser:
    """A ``Fuser`` without a network: mean, maximum, Laplacian pyramid or guided filter.

    Attributes:
        name: The baseline's name.
        device: Where it computes, such as ``cpu`` or ``cuda:0``.
        precision: Always ``fp32``.
        engine: Always ``eager``.
        model_hash: The sha256 over name and version.
        receptive_radius: How far from a pixel those lie that its value depends on, in pixels.
        bytes_per_pixel: What a fusion takes, see ``Fuser``.
    """

    precision: ResolvedPrecision = "fp32"
    engine: EngineName = "eager"

    def __init__(
        self,
        name: str,
        device: str = "auto",
        precision: Precision = "auto",
        *,
        engine: EngineChoice = "auto",
    ) -> None:
        """Choose a baseline of ``BASELINES`` and a device.

        Raises:
            SettingsError: The device can't be used, or a precision other than fp32 or an engine
                other than eager is asked for.
        """
        if engine not in ("auto", "eager"):
            raise SettingsError(
                f"engine is {engine}, and {name} is no network. Set engine to auto or eager."
            )
        if precision not in ("auto", "fp32"):
            raise SettingsError(
                f"precision is {precision!r}, and {name} computes in fp32 only. Use auto or fp32."
            )
        self.name = name
        self.device = resolve_device(device)
        self.model_hash = baseline_hash(name)
        self._fuse = BASELINES[name]
        self.receptive_radius = _RECEPTIVE_RADIUS[name]
        self.bytes_per_pixel = _BYTES_PER_PIXEL[name]

    @torch.inference_mode()
    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Fuse aligned pairs; see ``Fuser``."""
        check_pair(ir, vi)
        fused = self._fuse(ir.to(self.device), vi.to(self.device))
        return fused.clamp(0, 1).to(ir.device).contiguous()

    def give_back(self) -> None:
        """Do nothing: nothing is kept."""
