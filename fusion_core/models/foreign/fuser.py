"""Fuses by an ONNX file, so that any published network can run as ours does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fusion_core.errors import SettingsError, UnsupportedSizeError, WeightsError
from fusion_core.models.device import ResolvedPrecision, resolve_device
from fusion_core.models.foreign.program import Program
from fusion_core.models.foreign.runtime import make_runtime, resolve_runtime
from fusion_core.models.memory import is_out_of_memory
from fusion_core.models.names import EngineName
from fusion_core.models.padding import check_pair, take_reflected
from fusion_core.settings.fuse import EngineChoice, Precision

MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
"""An image is padded to the first of these multiples, height and width alike, that the program
takes: those that networks of up to six halvings ask for."""

_LONGEST_REASON = 300
Size = tuple[int, int]


class ForeignFuser:
    """A ``Fuser`` that runs an ONNX file, on one pair at a time.

    One at a time, because the program may be exported for a batch of 1, and may mix the images of
    a batch. An image is padded by reflection, below and right, to a size that the program takes. A
    file of free height and width doesn't tell which those are; it takes one if it computes an image
    of that size, so the first image of each size may be tried up to seven times.

    Attributes:
        name: The file's name, without folder and suffix.
        device: Where it computes, such as ``cpu`` or ``cuda:0``.
        precision: The precision of the program's weights, chosen by who exported it.
        engine: What computes it, ``openvino`` or ``onnxruntime``.
        model_hash: The sha256 of the file.
        receptive_radius: 64 pixels, what the deeper of the published networks see; a program
            doesn't tell its own.
        bytes_per_pixel: 3000, half as much again as RefineFuse in fp32: a program doesn't tell this
            either. One that takes more may meet the end of memory, and is then fused in tiles; one
            that takes less is fused in tiles sooner than it needs to be.
    """

    receptive_radius = 64
    bytes_per_pixel = 3000

    def __init__(
        self,
        program: Program,
        device: str,
        precision: Precision,
        *,
        engine: EngineChoice,
        name: str,
        model_hash: str,
    ) -> None:
        """Give the program to what is to compute it.

        Raises:
            SettingsError: Device or engine can't be used, or another precision than the program's
                is asked for.
            WeightsError: The program holds what the engine can't compute.
        """
        if precision not in ("auto", program.precision):
            raise SettingsError(
                f"precision is {precision!r}, and the model {name} was exported in "
                f"{program.precision}. Use auto, or export it in that precision."
            )
        self.name, self.model_hash = name, model_hash
        self.device = resolve_device(device)
        self.precision: ResolvedPrecision = program.precision
        self.engine: EngineName = resolve_runtime(engine, self.device)
        self._runtime = make_runtime(self.engine, program, self.device, name)
        self._program = replace(program, body=b"")
        self._taken: dict[Size, Size] = {}

    @torch.inference_mode()
    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Fuse aligned pairs; see ``Fuser``.

        Raises:
            ValueError: The shapes are not (B, 1, H, W).
            WeightsError: The program can't take the size, fails, or gives no image.
        """
        check_pair(ir, vi)
        sides = ir.cpu(), vi.cpu()
        fused = [self._fuse(*(side[k : k + 1] for side in sides)) for k in range(len(ir))]
        return torch.cat(fused).to(ir.device)

    def give_back(self) -> None:
        """Give back the memory that is kept from one image to the next."""
        self._runtime.give_back()

    def _fuse(self, ir: Tensor, vi: Tensor) -> Tensor:
        size = (ir.shape[-2], ir.shape[-1])
        failures: list[str] = []
        for padded in self._sizes(size):
            fused = self._attempt(ir, vi, padded, failures)
            if fused is not None:
                self._taken[size] = padded
                self._check_values(fused)
                return torch.from_numpy(fused)[..., : size[0], : size[1]].clamp(0, 1)
        raise UnsupportedSizeError(
            f"The model {self.name} can't take {size[1]}x{size[0]}, nor that padded to multiples "
            f"of up to {MULTIPLES[-1]}: {failures[-1]}. Export it with dynamic_shapes, or for this "
            "size."
        )

    def _sizes(self, size: Size) -> list[Size]:
        """Return the sizes to try for an image: the one that was taken before, or the nearest."""
        if size in self._taken:
            return [self._taken[size]]
        program = self._program
        found = {
            (program.height or _rounded(size[0], each), program.width or _rounded(size[1], each))
            for each in MULTIPLES
        }
        fitting = [one for one in found if one[0] >= size[0] and one[1] >= size[1]]
        if not fitting:
            raise UnsupportedSizeError(
                f"The model {self.name} can't take {size[1]}x{size[0]}; it takes heights "
                f"{program.height or 'of any size'} and widths {program.width or 'of any size'}. "
                "Export it with dynamic_shapes, or for this size."
            )
        return sorted(fitting)

    def _attempt(
        self, ir: Tensor, vi: Tensor, padded: Size, failures: list[str]
    ) -> NDArray[np.float32] | None:
        """Compute a pair padded to a size; note why where the program doesn't take it."""
        sides = (_padded(side, padded) for side in (ir, vi))
        shape = (1, *padded, 1) if self._program.layout == "NHWC" else (1, 1, *padded)
        try:
            fused = self._runtime.run(*(side.numpy().reshape(shape) for side in sides))
        except Exception as error:  # the libraries have no error of their own for it
            if is_out_of_memory(error):
                raise
            told = " ".join(
                str(error).split()
            )  # OpenVINO's first line is but a place in its source
            failures.append(f"{self.engine} says {told[-_LONGEST_REASON:]}")
            return None
        if fused.shape not in ((1, 1, *padded), (1, *padded, 1)):
            failures.append(
                f"it gave {fused.shape} for {padded[1]}x{padded[0]}; expected {shape}, the fused "
                "luminance"
            )
            return None
        return fused.reshape(1, 1, *padded)

    def _check_values(self, fused: NDArray[np.float32]) -> None:
        if not np.isfinite(fused).all():
            raise WeightsError(
                f"The model {self.name} gave infinities or NaN; expected finite numbers in [0, 1]. "
                "Check what was exported."
            )


def _rounded(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _padded(image: Tensor, size: Size) -> Tensor:
    return take_reflected(take_reflected(image, -2, 0, size[0]), -1, 0, size[1]).contiguous()
