"""What a network of this project has, so that every engine can run it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from fusion_core.models.pooling import Pooling


class FusionNetwork(nn.Module, ABC):
    """A network that fuses one aligned infrared and visible pair.

    Attributes:
        name: Name of the method; the manifest's column ``method``.
        config: The network's configuration.
    """

    name: ClassVar[str]
    config: BaseModel

    @property
    @abstractmethod
    def multiple(self) -> int:
        """Height and width must be multiples of this number of pixels."""

    @property
    @abstractmethod
    def receptive_radius(self) -> int:
        """How many pixels around one its value depends on, apart from what is pooled."""

    @property
    def cells(self) -> int:
        """Cells of the grid that is pooled over, along each side; 0 where nothing is pooled."""
        return 0

    @abstractmethod
    def bytes_per_pixel(self, element: int) -> int:
        """Return the memory that a fusion takes at its peak for each pixel, in bytes.

        Args:
            element: Size of a number of the network's body, in bytes.
        """

    @abstractmethod
    def body_to(self, dtype: torch.dtype) -> Self:
        """Cast all weights but the last convolution's, which stay fp32; return this network."""

    @abstractmethod
    def forward(self, ir: Tensor, vi: Tensor, pooling: Pooling | None = None) -> Tensor:
        """Fuse aligned pairs, (B, 1, H, W) in [0, 1], to the same shape and range in fp32.

        Args:
            ir: Infrared; H and W are multiples of ``multiple``.
            vi: Visible luminance, likewise.
            pooling: What pools in the image's place. Default: the image pools over itself.
        """

    def pool(self, ir: Tensor, vi: Tensor, pooling: Pooling) -> None:
        """Run as far as anything is pooled; a network without cells pools nothing."""
        raise NotImplementedError(f"{self.name} pools nothing")
