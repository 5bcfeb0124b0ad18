"""An engine for CPUs: the network converted to OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion_core.errors import SettingsError
from fusion_core.models.device import DTYPES, ResolvedPrecision
from fusion_core.models.engines import converted
from fusion_core.models.engines.converted_file import converted as converted_network
from fusion_core.models.engines.engine import EagerEngine
from fusion_core.models.engines.openvino_package import infer, openvino
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.names import EngineName
from fusion_core.models.pooling import PreviewPooling, TilePooling

_HINTS = {"fp32": "f32", "bf16": "bf16"}
_CUTS: Mapping[str, Callable[[converted.Graph], converted.Graph]] = {
    "whole": converted.whole,
    "pooling": converted.pooling,
    "tile": converted.tile,
}


class OpenVinoEngine:
    """Computes with OpenVINO on the CPU, any size and batch by one program.

    A program of free sizes takes about as long as one compiled for its size (1.06 to 2.11 s against
    1.19 to 1.56 s at 640x480, on a busy machine) and needs no compiling, of 0.4 s, for each. Images
    on which the grid of a network that pools doesn't fit, below 176 pixels with the packaged
    weights, are computed by torch.
    """

    name: EngineName = "openvino"
    memory_factor = 1.2

    def __init__(
        self, network: FusionNetwork, precision: ResolvedPrecision, model_hash: str
    ) -> None:
        """Convert a network, or take what was converted before.

        Args:
            network: The network, in fp32 on the CPU; cast to ``precision`` from then on.
            precision: What to compute in.
            model_hash: Its model hash, by which its converted form is kept.

        Raises:
            SettingsError: OpenVINO isn't installed, or this CPU has no such precision.
        """
        self._core = openvino().Core()
        self._graph = converted_network(network, model_hash)
        self._precision = precision
        self._smallest = network.cells * network.multiple
        self._eager = EagerEngine(network.body_to(DTYPES[precision]))
        self._programs: dict[str, Any] = {}
        self._last = "whole"
        self._outputs: dict[str, Sequence[str]] = {}
        self._program("whole")

    def fuse(self, ir: Tensor, vi: Tensor, pooling: TilePooling | None = None) -> Tensor:
        """Fuse padded pairs; see ``Engine``."""
        if pooling is not None:
            return torch.from_numpy(self._run("tile", ir, vi, _handed_in(pooling, ir))["fused"])
        if min(ir.shape[-2:]) < self._smallest:
            return self._eager.fuse(ir, vi)
        return torch.from_numpy(self._run("whole", ir, vi)["fused"])

    def pool(self, ir: Tensor, vi: Tensor) -> PreviewPooling:
        """Pool over a padded preview; see ``Engine``."""
        if min(ir.shape[-2:]) < self._smallest:
            return self._eager.pool(ir, vi)
        preview = PreviewPooling()
        for name, values in self._run("pooling", ir, vi).items():
            if name == converted.WEIGHTS:
                preview.channel_weights = torch.from_numpy(values)
            else:
                preview.grids[int(name.removeprefix(converted.GRID))] = torch.from_numpy(values)
        return preview

    def give_back(self) -> None:
        """Give back what OpenVINO keeps of its largest fusion for the next one.

        It is kept, since taking it anew each time makes a fusion a third slower.
        """
        for program in self._programs.values():
            program.release_memory()

    def _run(
        self, name: str, ir: Tensor, vi: Tensor, handed_in: Mapping[str, NDArray[np.float32]] = {}
    ) -> dict[str, NDArray[np.float32]]:
        program = self._program(name)
        if name != self._last:
            # Else what a scene's preview took would be held beside what its tiles take.
            self._programs[self._last].release_memory()
            self._last = name
        inputs = {"ir": ir.numpy(), "vi": vi.numpy(), **handed_in}
        try:
            found = infer(program, inputs)
        except Exception:
            self.give_back()
            raise
        # By the names of the graph, for compiling gives an output others beside.
        return {output: np.array(found[output]) for output in self._outputs[name]}

    def _program(self, name: str) -> Any:
        """Return a program, compiled when it is first asked for."""
        if name not in self._programs:
            options = {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": _HINTS[self._precision],
                # The worker's share. Pinned threads of several workers would share a core.
                "INFERENCE_NUM_THREADS": torch.get_num_threads(),
                "ENABLE_CPU_PINNING": False,
            }
            graph = _CUTS[name](self._graph)
            self._outputs[name] = converted.names_of(graph)
            program = self._core.compile_model(graph, "CPU", options)
            self._check_precision(program)
            self._programs[name] = program
        return self._programs[name]

    def _check_precision(self, program: Any) -> None:
        """Refuse a CPU without the precision, on which OpenVINO computes in fp32 unasked."""
        found = program.get_property("INFERENCE_PRECISION_HINT").to_string()
        if found != _HINTS[self._precision]:
            raise SettingsError(
                f"precision is {self._precision}, and OpenVINO computes in {found} on this CPU, "
                "which has no instructions for it. Set precision to auto or fp32, or engine to "
                "eager."
            )


def _handed_in(pooling: TilePooling, image: Tensor) -> dict[str, NDArray[np.float32]]:
    """Return the inputs of ``tile`` that a scene has pooled, for a tile like ``image``."""
    height, width = image.shape[-2:]
    preview = pooling.preview
    parts = {
        f"{converted.PART}{level}": pooling.part(level, height >> level, width >> level).numpy()
        for level in preview.grids
    }
    if preview.channel_weights is not None:
        parts[converted.WEIGHTS] = preview.channel_weights.float().numpy()
    return parts
