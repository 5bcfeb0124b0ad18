"""RefineFuse-mini: a small network for CPUs, which learns to fuse as a large one does.

It looks around at a half, a quarter and an eighth of the resolution, and what it decides there are
the weights of linear filters at full resolution: the fused image is the mean of both sources plus
filtered sources, each weighted at each pixel by what is around it. So fine detail doesn't have to
pass through a narrow body, which is where small networks lose it. What the whole image is like, it
is told in 21 numbers: how bright and how varied both sources are.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from fusion_core.models.blocks import conv3x3
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.mini_config import MiniConfig
from fusion_core.models.pooling import Pooling

_PIXELS = 4
"""Pixels of full resolution in one of half of it."""

_EVERY = 4
"""Every so many-th row and column counts for the levels."""

_BINS = 8
LEVELS = 2 * (_BINS + 2) + 1
"""Numbers that tell of a whole image, see ``image_levels``."""


def image_levels(ir: Tensor, vi: Tensor) -> Tensor:
    """Tell in some numbers what levels two images have, (B, 21, 1, 1), of (B, 1, H, W) in [0, 1].

    For the infrared, then the visible image: mean, standard deviation, and the share of its pixels
    at each of 8 evenly spaced levels, where a pixel between two levels counts for both in parts.
    Last the correlation of both images.
    """
    sides = [side[..., ::_EVERY, ::_EVERY].flatten(1) for side in (ir, vi)]
    centres = torch.linspace(0, 1, _BINS, dtype=ir.dtype, device=ir.device)
    told, varied = [], []
    for side in sides:
        mean = side.mean(1, keepdim=True)
        varied.append(side - mean)
        deviation = varied[-1].square().mean(1, keepdim=True).sqrt()
        near = 1 - (side[..., None] - centres).abs() * (_BINS - 1)
        told += [mean, deviation, near.relu().mean(1)]
    covariance = (varied[0] * varied[1]).mean(1, keepdim=True)
    correlation = covariance / (told[1] * told[4] + 1e-4)
    return torch.cat((*told, correlation), dim=1)[..., None, None]


class ImageLevels(nn.Module):
    """What is pooled over whole images, in the place that FIM has in RefineFuse."""

    def weigh(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Return ``image_levels``."""
        return image_levels(ir, vi)


class MiniFuse(FusionNetwork):
    """The small fusion network; see ``forward``. It computes in fp32 always."""

    name = "refinefuse-mini"
    precisions = ("fp32",)
    config: MiniConfig

    def __init__(self, config: MiniConfig | None = None) -> None:
        """Build an untrained network from ``config``, the default one where none is given."""
        super().__init__()
        self.config = config or MiniConfig()
        half, quarter, eighth = self.config.half, self.config.quarter, self.config.eighth
        filtered = _PIXELS * self.config.filters
        self.stem = conv3x3(2 * _PIXELS, half)
        self.quarter = conv3x3(half, quarter, stride=2)
        self.quarter_body = conv3x3(quarter, quarter)
        self.eighth = conv3x3(quarter, eighth, stride=2)
        self.eighth_body = nn.ModuleList(conv3x3(eighth, eighth) for _ in range(2))
        self.to_quarter = nn.Conv2d(eighth, quarter, 1)
        self.quarter_join = conv3x3(quarter, quarter)
        self.to_half = nn.Conv2d(quarter, half, 1)
        self.half_join = conv3x3(half, half)
        self.weights = conv3x3(half, filtered)
        self.tone = nn.Conv2d(half, _PIXELS, 1)
        self.filters = nn.Conv2d(2 * _PIXELS, filtered, 3, padding=1, bias=False)
        self.mix = nn.Conv2d(filtered, _PIXELS, 1, bias=False)
        self.levels = ImageLevels()
        self.hidden = nn.Conv2d(LEVELS, self.config.hidden, 1)
        self.gains = nn.Conv2d(self.config.hidden, half + quarter + eighth, 1)
        self.offsets = nn.Conv2d(self.config.hidden, half + quarter + eighth, 1)
        for layer in (self.gains, self.offsets, self.tone):
            for parameter in layer.parameters():
                nn.init.zeros_(parameter)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def multiple(self) -> int:
        """Height and width must be multiples of this number of pixels."""
        return 8

    @property
    def receptive_radius(self) -> int:
        """How many pixels around one its value depends on, apart from what is pooled.

        Exactly so: by the gradients of nine pixels of MSRS, none beyond, and 99.9 % within 32.
        """
        return 48

    @property
    def cells(self) -> int:
        """Cells of the grid of patches that is pooled over, along each side."""
        return 24

    def bytes_per_pixel(self, element: int) -> int:
        """Return the memory that a fusion takes at its peak for each pixel, in bytes.

        Measured on a CPU by default: 192 at 1024x1024 and 173 at 2048x2048; 192 to 195 by OpenVINO.
        """
        return element * (self.config.half + 2 * self.config.filters)

    def body_to(self, dtype: torch.dtype) -> Self:
        """Leave all as it is: what it adds up are images, of which bf16 keeps 8 bits at best."""
        return self

    def forward(self, ir: Tensor, vi: Tensor, pooling: Pooling | None = None) -> Tensor:
        """Fuse aligned pairs as ``FusionNetwork.forward`` says.

        In training, what leaves the range stays beyond it, so that it finds its way back.
        """
        levels = pooling.weights(self.levels, ir, vi) if pooling else image_levels(ir, vi)
        hidden = torch.relu(self.hidden(levels))
        widths = (self.config.half, self.config.quarter, self.config.eighth)
        gains = (1 + self.gains(hidden)).split(widths, dim=1)
        offsets = self.offsets(hidden).split(widths, dim=1)
        sources = functional.pixel_unshuffle(torch.cat((ir, vi), dim=1), 2)
        half = torch.relu(self.stem(sources) * gains[0] + offsets[0])
        quarter = torch.relu(self.quarter(half) * gains[1] + offsets[1])
        quarter = torch.relu(self.quarter_body(quarter))
        eighth = torch.relu(self.eighth(quarter) * gains[2] + offsets[2])
        for layer in self.eighth_body:
            eighth = torch.relu(layer(eighth) + eighth)
        quarter = torch.relu(quarter + _doubled(self.to_quarter(eighth)))
        quarter = torch.relu(self.quarter_join(quarter))
        half = torch.relu(half + _doubled(self.to_half(quarter)))
        half = torch.relu(self.half_join(half))
        change = self.mix(self.weights(half) * self.filters(sources)) + self.tone(half)
        mean = (sources[:, :_PIXELS] + sources[:, _PIXELS:]) / 2
        fused = functional.pixel_shuffle(mean + change, 2)
        return fused if self.training else fused.clamp(0, 1)

    def pool(self, ir: Tensor, vi: Tensor, pooling: Pooling) -> None:
        """Tell the levels of a preview of a scene."""
        pooling.weights(self.levels, ir, vi)


def _doubled(features: Tensor) -> Tensor:
    """Double height and width bilinearly."""
    return functional.interpolate(features, scale_factor=2.0, mode="bilinear")
