"""An engine for GPUs: the network compiled for each size, and replayed as a CUDA graph."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusion_core.models.engines.engine import EagerEngine
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.names import EngineName
from fusion_core.models.pooling import PreviewPooling, TilePooling

MOST_SHAPES = 4
"""Shapes of batches that are compiled; one takes 13 to 18 s on an H200, and its graph keeps what
the network takes for it. Those that come later are computed by torch as it is."""

_WARM_UPS = 3  # before a capture, as torch's documentation of graphs has it
log = logging.getLogger(__name__)
Shape = tuple[int, ...]
Call = Callable[[Tensor, Tensor], Tensor]


class CompiledEngine:
    """Compiles the network for the first shapes that it meets; the others are eager.

    Tiles of scenes are eager as well, since each brings what its scene pooled.
    """

    name: EngineName = "compiled"
    memory_factor = 1.0

    def __init__(self, network: FusionNetwork, *, backend: Any = "inductor") -> None:
        """Take the network, on its device and in its precision.

        Args:
            network: The network.
            backend: What ``torch.compile`` compiles with.
        """
        self._network, self._backend = network, backend
        self._eager = EagerEngine(network)
        self._calls: dict[Shape, Call] = {}

    def fuse(self, ir: Tensor, vi: Tensor, pooling: TilePooling | None = None) -> Tensor:
        """Fuse padded pairs; see ``Engine``."""
        if pooling is not None:
            return self._eager.fuse(ir, vi, pooling)
        shape = tuple(ir.shape)
        if shape not in self._calls:
            if len(self._calls) == MOST_SHAPES:
                return self._eager.fuse(ir, vi)
            log.info("compiling the network for %s", shape)
            self._calls[shape] = self._compiled(ir, vi)
        return self._calls[shape](ir, vi)

    def pool(self, ir: Tensor, vi: Tensor) -> PreviewPooling:
        """Pool over a padded preview; see ``Engine``."""
        return self._eager.pool(ir, vi)

    def give_back(self) -> None:
        """Forget all graphs, which keep their memory; what is compiled is compiled anew."""
        self._calls.clear()

    def _compiled(self, ir: Tensor, vi: Tensor) -> Call:
        # A copy, which shares the weights: torch counts the shapes of a module, and would make
        # sizes dynamic, and stop compiling, after a few.
        network = copy.copy(self._network)
        call: Call = torch.compile(network, backend=self._backend, dynamic=False, fullgraph=True)
        return CapturedCall.of(call, ir, vi) if ir.is_cuda else call


@dataclass(frozen=True)
class CapturedCall:
    """A call as a CUDA graph, which reads and writes the same tensors every time.

    Attributes:
        graph: What is replayed.
        ir: Where it reads the infrared images.
        vi: Where it reads the visible ones.
        fused: Where it writes the fused ones.
    """

    graph: torch.cuda.CUDAGraph
    ir: Tensor
    vi: Tensor
    fused: Tensor

    @classmethod
    def of(cls, call: Call, ir: Tensor, vi: Tensor) -> CapturedCall:
        """Capture a call for images of this shape."""
        ir, vi = ir.clone(), vi.clone()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                call(ir, vi)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            fused = call(ir, vi)
        return cls(graph, ir, vi, fused)

    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Replay it for other images; the result is the caller's own."""
        self.ir.copy_(ir)
        self.vi.copy_(vi)
        self.graph.replay()
        return self.fused.clone()
