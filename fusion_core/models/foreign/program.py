"""Reads an ONNX file, and checks that it is a function of two luminance images and no more.

The file is a list of operators with their weights. What would reach beyond it is refused: weights
that lie in other files, and operators that aren't ONNX's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.device import ResolvedPrecision
from fusion_core.models.model_file import ModelFile

_FLOAT, _FLOAT16, _BFLOAT16 = 1, 10, 16  # of onnx.TensorProto
_EXTERNAL = 1
_TYPES = {_FLOAT: "fp32", _FLOAT16: "fp16", _BFLOAT16: "bf16"}
_OWN_DOMAINS = {"", "ai.onnx"}
_INFRARED, _VISIBLE = {"ir", "infrared", "thermal", "lwir"}, {"vi", "vis", "visible"}
_ADVICE = (
    "Export it again: torch.onnx.export(network.eval(), (ir, vi), 'name.onnx', dynamo=True, "
    "external_data=False, …), where forward(ir, vi) takes and returns (1, 1, H, W)."
)

Layout = Literal["NCHW", "NHWC"]


class _UnusableError(Exception):
    """A file isn't what is expected; the message leaves the file to the caller."""


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
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise SettingsError(
            f"the model {file.url} is an ONNX file, and the package onnx can't be loaded: {error}. "
            "Install it by pip install 'fuse-archive[cpu]', or 'fuse-archive[onnx-gpu]' for GPUs."
        ) from error
    try:
        return _program(onnx.load_model_from_string(file.body), onnx)
    except _UnusableError as error:
        raise WeightsError(f"The model {file.url} can't be used: {error}. {_ADVICE}") from error
    except (DecodeError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"The model {file.url} can't be read as ONNX: {type(error).__name__}: {error}. It is "
            f"damaged or cut short; fetch it again. {_ADVICE}"
        ) from error


def _program(model: Any, onnx: Any) -> Program:
    graph = model.graph
    if not graph.node:
        raise _UnusableError("it holds no operators; expected a network, from a file that is whole")
    _check_domains(model)
    _check_tensors(model)
    _store_raw(graph, onnx)
    weights = {tensor.name for tensor in graph.initializer}
    images = [one for one in graph.input if one.name not in weights]
    if len(images) != 2 or len(graph.output) != 1:
        raise _UnusableError(
            f"it takes {len(images)} inputs and gives {len(graph.output)} outputs; expected two "
            "images, infrared and visible, and one image"
        )
    (layout, *sides), other = (_shape(image) for image in images)
    if other[0] != layout:
        raise _UnusableError("one of its images is NCHW and the other NHWC; expected the same")
    types = {_type_of(one) for one in (*images, graph.output[0])}
    types |= {tensor.data_type for tensor in graph.initializer if tensor.data_type in _TYPES}
    swapped = _swapped(*(image.name for image in images))
    first, second = (_in_fp32(graph, image, onnx) for image in images)
    _out_fp32(graph, onnx)
    height, width = (a or b for a, b in zip(sides, other[1:], strict=True))
    return Program(
        body=model.SerializeToString(),
        inputs=(second, first) if swapped else (first, second),
        layout=layout,
        height=height,
        width=width,
        precision="fp16" if _FLOAT16 in types else "bf16" if _BFLOAT16 in types else "fp32",
    )


def _check_domains(model: Any) -> None:
    """Refuse operators of others; functions that the file itself defines are ONNX's in the end."""
    own = _OWN_DOMAINS | {function.domain for function in model.functions}
    for node in _nodes(model):
        if node.domain not in own:
            raise _UnusableError(
                f"it holds the operator {node.domain}.{node.op_type}; expected operators of ONNX "
                "alone, which need no library of their own"
            )


def _check_tensors(model: Any) -> None:
    """Refuse weights outside of the file."""
    inside = [tensor for node in _nodes(model) for tensor in _tensors(node)]
    sparse = [part for one in model.graph.sparse_initializer for part in (one.values, one.indices)]
    for tensor in (*model.graph.initializer, *sparse, *inside):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            raise _UnusableError(
                f"the weights of {tensor.name or 'a constant'} lie in another file; expected all "
                "in one. Load it where that file is and save it by onnx.save(model, 'name.onnx')"
            )


def _store_raw(graph: Any, onnx: Any) -> None:
    """Store bf16 weights as plain bytes: OpenVINO misreads them as a list of integers."""
    for tensor in graph.initializer:
        if tensor.data_type == _BFLOAT16 and tensor.int32_data:
            values = onnx.numpy_helper.to_array(tensor)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def _nodes(model: Any) -> Iterator[Any]:
    """Yield all operators: of the graph, of functions, and of branches and loops in them."""
    waiting = [model.graph, *model.functions]
    while waiting:
        for node in waiting.pop().node:
            yield node
            for attribute in node.attribute:
                waiting += [graph for graph in (attribute.g, *attribute.graphs) if graph.node]


def _tensors(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for graph in (attribute.g, *attribute.graphs):
            yield from graph.initializer


def _shape(image: Any) -> tuple[Layout, int | None, int | None]:
    """Return layout, height and width of an input, where they are fixed."""
    dims = [dim.dim_value or None for dim in image.type.tensor_type.shape.dim]
    if len(dims) != 4 or dims[0] not in (None, 1) or 1 not in (dims[1], dims[3]):
        shape = ", ".join(str(dim or "any") for dim in dims)
        raise _UnusableError(
            f"its input {image.name} has the shape ({shape}); expected (1, 1, H, W) or "
            "(1, H, W, 1), luminance alone"
        )
    return ("NCHW", dims[2], dims[3]) if dims[1] == 1 else ("NHWC", dims[1], dims[2])


def _type_of(value: Any) -> int:
    found: int = value.type.tensor_type.elem_type
    if found not in _TYPES:
        raise _UnusableError(
            f"{value.name} is of ONNX's type {found}; expected float, float16 or bfloat16"
        )
    return found


def _in_fp32(graph: Any, image: Any, onnx: Any) -> str:
    """Have an input taken in fp32 and cast inside; return its name."""
    given: str = image.name
    kind = _type_of(image)
    if kind == _FLOAT:
        return given
    image.name = f"{given}_as_fp32"
    image.type.tensor_type.elem_type = _FLOAT
    graph.node.insert(0, onnx.helper.make_node("Cast", [image.name], [given], to=kind))
    return str(image.name)


def _out_fp32(graph: Any, onnx: Any) -> None:
    """Have the output given in fp32."""
    (fused,) = graph.output
    if _type_of(fused) != _FLOAT:
        given, fused.name = fused.name, f"{fused.name}_as_fp32"
        fused.type.tensor_type.elem_type = _FLOAT
        graph.node.append(onnx.helper.make_node("Cast", [given], [fused.name], to=_FLOAT))


def _swapped(first: str, second: str) -> bool:
    """Tell whether the inputs' names say that the visible image comes first."""
    words = [set(re.split(r"[^a-z]+", name.lower())) for name in (first, second)]
    return bool(words[0] & _VISIBLE and words[1] & _INFRARED)
