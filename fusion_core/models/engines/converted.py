"""Makes of a network what OpenVINO computes: one graph, of which three programs are cut.

The graph fuses whole images, and gives beside the fused image what is pooled on the way: the grids
that PSIM attends over, their parts for the image, and FIM's channel weights. ``whole`` is that
graph without the rest, ``pooling`` ends at the grids and weights, and ``tile`` takes parts and
weights from outside, as a scene's tiles do. So three programs share one file of weights.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from fusion_core.models.blocks import PSIM, resize
from fusion_core.models.engines.openvino_package import openvino
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.pooling import PreviewPooling

CONVERSION = 1
"""Raised whenever the same network is to be converted otherwise: what is stored has its number."""

FUSED, WEIGHTS = "fused", "weights"
GRID, PART = "grid_", "part_"
"""What begins the names of PSIM's grids and of their parts; the level follows."""

_CELLS_BEYOND = 4  # of the grid, so that no side of the example is taken for one of the grid
Graph = Any  # openvino.Model, which is imported only where it is used


@dataclass
class _FullPooling(PreviewPooling):
    """Pools over an image that is no smaller than the grid, and keeps parts as well as grids.

    Attributes:
        parts: What PSIM adds, (B, 2C, H, W), by level.
    """

    parts: dict[int, Tensor] = field(default_factory=dict)

    def attended(self, level: int, block: PSIM, ir: Tensor, vi: Tensor) -> Tensor:
        """Attend over the whole grid, for a size that isn't known can't be compared with it."""
        grid = (block.token_grid, block.token_grid)
        self.grids[level] = block.attend(ir, vi, grid)
        self.parts[level] = resize(self.grids[level], (ir.shape[-2], ir.shape[-1]))
        return self.parts[level]


class _WithPooling(nn.Module):
    """A network that also returns what it pooled, and notes the names of what it returned."""

    def __init__(self, network: FusionNetwork) -> None:
        super().__init__()
        self.network = network
        self.names: tuple[str, ...] = ()

    def forward(self, ir: Tensor, vi: Tensor) -> tuple[Tensor, ...]:
        pooling = _FullPooling() if self.network.cells else None
        found = {FUSED: self.network(ir, vi, pooling)}
        if pooling is not None:
            found |= {f"{GRID}{level}": grid for level, grid in pooling.grids.items()}
            found |= {f"{PART}{level}": part for level, part in pooling.parts.items()}
            if pooling.channel_weights is not None:
                found[WEIGHTS] = pooling.channel_weights
        self.names = tuple(found)
        return tuple(found.values())


def convert(network: FusionNetwork) -> Graph:
    """Convert a network in fp32 on the CPU, for any batch and any size that holds its grid.

    By a trace of torch.jit, which torch calls deprecated: torch.export gives the same images, but
    took 14 s of a core against 3 for a tiny network, and 24 against 15 for the packaged one. Of
    those 3 s, the trace's own check of itself was 2; the tests compare the images instead.
    """
    module = _WithPooling(network).eval()
    step = network.multiple
    rows, columns = (step * (network.cells + _CELLS_BEYOND + more) for more in (0, 1))
    images = torch.zeros(2, 1, rows, columns), torch.ones(2, 1, rows, columns)
    free = openvino().PartialShape([-1, 1, -1, -1])
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sizes that are taken for constants, as they are here
        traced = torch.jit.trace(module, images, check_trace=False)  # type: ignore[no-untyped-call]
        graph = openvino().convert_model(traced, example_input=images, input=[free, free])
    for name, side in zip(("ir", "vi"), graph.inputs, strict=True):
        side.get_tensor().set_names({name})
    for name, output in zip(module.names, graph.outputs, strict=True):
        output.get_tensor().set_names({name})
    return graph


def whole(graph: Graph) -> Graph:
    """Return the program that fuses images: of ``ir`` and ``vi`` to ``fused``."""
    return _ending_at(graph, [FUSED])


def pooling(graph: Graph) -> Graph:
    """Return the program that pools: of ``ir`` and ``vi`` to the grids and weights."""
    return _ending_at(
        graph, [name for name in names_of(graph) if not name.startswith((FUSED, PART))]
    )


def tile(graph: Graph) -> Graph:
    """Return the program that fuses tiles: of ``ir``, ``vi``, parts and weights to ``fused``."""
    graph = graph.clone()
    handed_in = []
    for name in names_of(graph):
        if not name.startswith((PART, WEIGHTS)):
            continue
        source = graph.output(name).node.input_value(0)
        given = openvino().op.Parameter(source.element_type, source.partial_shape)
        given.output(0).set_names({name})
        for user in source.get_target_inputs():
            user.replace_source_output(given.output(0))
        handed_in.append(given)
    ends = [graph.output(FUSED).node]
    return openvino().Model(ends, [*graph.get_parameters(), *handed_in], "tile")


def names_of(graph: Graph) -> Sequence[str]:
    """Return the names of a graph's outputs in their order."""
    return [output.any_name for output in graph.outputs]


def _ending_at(graph: Graph, names: Sequence[str]) -> Graph:
    graph = graph.clone()
    ends = [graph.output(name).node for name in names]
    return openvino().Model(ends, graph.get_parameters(), "+".join(names))
