"""Reads an ONNX file that fuses: a function of two luminance images and no more."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from fusion_core.models.device import ResolvedPrecision
from fusion_core.models.foreign.onnx_file import (
    BFLOAT16,
    FLOAT16,
    TYPES,
    UnusableError,
    dims_of,
    images_of,
    in_fp32,
    out_fp32,
    read_onnx,
    type_of,
)
from fusion_core.models.model_file import ModelFile

_INFRARED, _VISIBLE = {"ir", "infrared", "thermal", "lwir"}, {"vi", "vis", "visible"}
_ADVICE = (
    "Export it again: torch.onnx.export(network.eval(), (ir, vi), 'name.onnx', dynamo=True, "
    "external_data=False, …), where forward(ir, vi) takes and returns (1, 1, H, W)."
)

Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True, kw_only=True)
class Program:
    """An ONNX file that fuses, made to take and give fp32.

    Attributes:
        body: The model, as ONNX stores it.
        inputs: Names of infrared and visible luminance.
        layout: Where their one channel is.
        height: The only height that is taken; None where any may be.
        width: The only width, likewise.
        precision: The lowest precision among inputs and weights.
    """

    body: bytes
    inputs: tuple[str, str]
    layout: Layout
    height: int | None
    width: int | None
    precision: ResolvedPrecision


def read_program(file: ModelFile) -> Program:
    """Read and check an ONNX file.

    Raises:
        WeightsError: It is damaged, reaches beyond itself, or is no function of two luminances.
        SettingsError: The package onnx isn't installed.
    """
    return read_onnx(file, _program, _ADVICE)


def _program(model: Any, onnx: Any) -> Program:
    graph = model.graph
    images = images_of(graph)
    if len(images) != 2 or len(graph.output) != 1:
        raise UnusableError(
            f"it takes {len(images)} inputs and gives {len(graph.output)} outputs; expected two "
            "images, infrared and visible, and one image"
        )
    (layout, *sides), other = (_shape(image) for image in images)
    if other[0] != layout:
        raise UnusableError("one of its images is NCHW and the other NHWC; expected the same")
    types = {type_of(one) for one in (*images, graph.output[0])}
    types |= {tensor.data_type for tensor in graph.initializer if tensor.data_type in TYPES}
    swapped = _swapped(*(image.name for image in images))
    first, second = (in_fp32(graph, image, onnx) for image in images)
    out_fp32(graph, graph.output[0], onnx)
    height, width = (a or b for a, b in zip(sides, other[1:], strict=True))
    return Program(
        body=model.SerializeToString(),
        inputs=(second, first) if swapped else (first, second),
        layout=layout,
        height=height,
        width=width,
        precision="fp16" if FLOAT16 in types else "bf16" if BFLOAT16 in types else "fp32",
    )


def _shape(image: Any) -> tuple[Layout, int | None, int | None]:
    """Return layout, height and width of an input, where they are fixed."""
    dims = dims_of(image)
    if len(dims) != 4 or dims[0] not in (None, 1) or 1 not in (dims[1], dims[3]):
        shape = ", ".join(str(dim or "any") for dim in dims)
        raise UnusableError(
            f"its input {image.name} has the shape ({shape}); expected (1, 1, H, W) or "
            "(1, H, W, 1), luminance alone"
        )
    return ("NCHW", dims[2], dims[3]) if dims[1] == 1 else ("NHWC", dims[1], dims[2])


def _swapped(first: str, second: str) -> bool:
    """Tell whether the inputs' names say that the visible image comes first."""
    words = [set(re.split(r"[^a-z]+", name.lower())) for name in (first, second)]
    return bool(words[0] & _VISIBLE and words[1] & _INFRARED)
