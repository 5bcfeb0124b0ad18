"""The interface of engines, and the one that every other falls back on: torch as it is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.names import EngineName
from fusion_core.models.pooling import Pooling, PreviewPooling, TilePooling


class Engine(Protocol):
    """Computes a network on images that are padded already.

    Attributes:
        name: The manifest's column ``engine``.
        memory_factor: What a fusion takes, as a multiple of what it takes in torch.
    """

    name: EngineName
    memory_factor: float

    def fuse(self, ir: Tensor, vi: Tensor, pooling: TilePooling | None = None) -> Tensor:
        """Fuse padded pairs, (B, 1, H, W) in [0, 1], to the same in fp32.

        Args:
            ir: Infrared, on the engine's device.
            vi: Visible luminance, likewise.
            pooling: What a scene pooled, for a tile of it. Default: each image pools for itself.
        """
        ...

    def pool(self, ir: Tensor, vi: Tensor) -> PreviewPooling:
        """Pool over a padded preview of a scene, (1, 1, h, w)."""
        ...

    def give_back(self) -> None:
        """Give back the memory that is kept from one fusion to the next."""
        ...


class EagerEngine:
    """Computes with torch, operator by operator."""

    name: EngineName = "eager"
    memory_factor = 1.0

    def __init__(self, network: FusionNetwork) -> None:
        """Take the network, on its device and in its precision."""
        self._network = network

    def fuse(self, ir: Tensor, vi: Tensor, pooling: Pooling | None = None) -> Tensor:
        """Fuse padded pairs; see ``Engine``."""
        fused: Tensor = self._network(ir, vi, pooling)
        return fused

    def pool(self, ir: Tensor, vi: Tensor) -> PreviewPooling:
        """Pool over a padded preview; see ``Engine``."""
        preview = PreviewPooling()
        self._network.pool(ir, vi, preview)
        return preview

    def give_back(self) -> None:
        """Do nothing: torch gives back what it took."""
