"""A detector: an ONNX file with its description, and what it finds in images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion_core.detection.boxes import Boxes
from fusion_core.detection.description import Description
from fusion_core.detection.detector_file import EXPORT_ADVICE, DetectorFile
from fusion_core.detection.heads import decode
from fusion_core.detection.preparation import place, prepare
from fusion_core.detection.suppression import SuppressionRule, suppress
from fusion_core.errors import WeightsError
from fusion_core.models.device import resolve_device
from fusion_core.models.foreign.onnx_file import (
    UnusableError,
    dims_of,
    images_of,
    in_fp32,
    out_fp32,
    read_onnx,
)
from fusion_core.models.foreign.runtime import make_runtime, resolve_runtime
from fusion_core.models.names import EngineName
from fusion_core.settings.fuse import EngineChoice


@dataclass(frozen=True)
class _Program:
    body: bytes
    inputs: tuple[str, ...]


class Detector:
    """A detector that is ready to compute on a device.

    Attributes:
        description: What its file takes and gives.
        engine: What computes it, ``openvino`` or ``onnxruntime``.
    """

    def __init__(self, file: DetectorFile, device: str, engine: EngineChoice = "auto") -> None:
        """Give the program to what is to compute it, and try it on an empty picture.

        Raises:
            SettingsError: Device or engine can't be used.
            WeightsError: The file can't be computed, or the description isn't its own.
        """
        self.description = file.description
        program = read_onnx(file.file, partial(_program, file.description), EXPORT_ADVICE)
        device = resolve_device(device)
        self.engine: EngineName = resolve_runtime(engine, device)
        self._name = file.file.stem
        self._runtime = make_runtime(self.engine, program, device, self._name)
        empty = np.full((*self.description.size, 3), self.description.fill, np.uint8)
        decode(self.output(empty), self.description)

    def output(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return what the file gives for an image, (H, W, 3) RGB.

        Raises:
            WeightsError: It can't be computed.
        """
        values, _ = prepare(pixels, self.description)
        found = self._runtime.run(values)
        if found.dtype != np.float32:
            raise WeightsError(
                f"The detector {self._name} gave {found.dtype}; expected float32. {EXPORT_ADVICE}"
            )
        return found

    def boxes(self, output: NDArray[Any], shape: tuple[int, int], rule: SuppressionRule) -> Boxes:
        """Return the boxes of an image, given what the file gave for it.

        Args:
            output: From ``output``.
            shape: Height and width of the image.
            rule: Which boxes are left.

        Raises:
            WeightsError: The output isn't what the description says.
        """
        corners, scores, classes = suppress(decode(output, self.description), rule)
        height, width = shape
        placed = place(height, width, self.description)[0].to_image(corners)
        placed = np.clip(placed, 0, np.array([width, height] * 2, np.float64))
        found = np.concatenate((placed[:, :2], placed[:, 2:] - placed[:, :2]), 1)
        names = tuple(self.description.classes[k] for k in classes)
        boxes = Boxes(found.astype(np.float32), scores.astype(np.float32), names)
        return boxes.where((boxes.corners[:, 2:] > 0).all(1))  # else it lies in the fill alone

    def give_back(self) -> None:
        """Give back the memory that is kept from one image to the next."""
        self._runtime.give_back()


def _program(description: Description, model: Any, onnx: Any) -> _Program:
    graph = model.graph
    images = images_of(graph)
    if len(images) != 1 or not graph.output:
        raise UnusableError(
            f"it takes {len(images)} inputs and gives {len(graph.output)} outputs; expected one "
            "picture and its boxes"
        )
    height, width = description.size
    wanted = [1, 3, height, width] if description.layout == "NCHW" else [1, height, width, 3]
    dims = dims_of(images[0])
    if len(dims) != 4 or any(a not in (None, b) for a, b in zip(dims, wanted, strict=True)):
        shape = [dim or "any" for dim in dims]
        raise UnusableError(
            f"its input has the shape {shape}, and its description says {wanted}; expected the "
            "same. Correct size and layout there"
        )
    out_fp32(graph, graph.output[0], onnx)
    return _Program(inputs=(in_fp32(graph, images[0], onnx),), body=model.SerializeToString())
