"""Reads an ONNX file, and refuses what would reach beyond it.

The file is a list of operators with their weights. Weights that lie in other files are refused, and
operators that aren't ONNX's own. What a program takes and gives is up to who reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.model_file import ModelFile

FLOAT, FLOAT16, BFLOAT16 = 1, 10, 16  # of onnx.TensorProto
TYPES = {FLOAT: "fp32", FLOAT16: "fp16", BFLOAT16: "bf16"}
_EXTERNAL = 1
_OWN_DOMAINS = {"", "ai.onnx"}

Made = TypeVar("Made")


class UnusableError(Exception):
    """A file isn't what is expected; the message leaves the file to the caller."""


def read_onnx(file: ModelFile, make: Callable[[Any, Any], Made], advice: str) -> Made:
    """Read and check an ONNX file, and make of it what is wanted.

    Args:
        file: The file.
        make: Given the model and the package onnx, makes what is wanted; it may change the model,
            and raises ``UnusableError`` for what it can't use.
        advice: Ends the message of a file that can't be used.

    Raises:
        WeightsError: It is damaged, reaches beyond itself, or is not what is wanted.
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
        model = onnx.load_model_from_string(file.body)
        _check(model)
        _store_raw(model.graph, onnx)
        return make(model, onnx)
    except UnusableError as error:
        raise WeightsError(f"The model {file.url} can't be used: {error}. {advice}") from error
    except (DecodeError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"The model {file.url} can't be read as ONNX: {type(error).__name__}: {error}. It is "
            f"damaged or cut short; fetch it again. {advice}"
        ) from error


def images_of(graph: Any) -> list[Any]:
    """Return the inputs of a graph that aren't weights."""
    weights = {tensor.name for tensor in graph.initializer}
    return [one for one in graph.input if one.name not in weights]


def dims_of(value: Any) -> list[int | None]:
    """Return the shape of an input or output; None where a size is free."""
    return [dim.dim_value or None for dim in value.type.tensor_type.shape.dim]


def type_of(value: Any) -> int:
    """Return the ONNX type of an input or output, which is one of ``TYPES``.

    Raises:
        UnusableError: It is another.
    """
    found: int = value.type.tensor_type.elem_type
    if found not in TYPES:
        raise UnusableError(
            f"{value.name} is of ONNX's type {found}; expected float, float16 or bfloat16"
        )
    return found


def in_fp32(graph: Any, image: Any, onnx: Any) -> str:
    """Have an input taken in fp32 and cast inside; return its name."""
    given: str = image.name
    kind = type_of(image)
    if kind == FLOAT:
        return given
    image.name = f"{given}_as_fp32"
    image.type.tensor_type.elem_type = FLOAT
    graph.node.insert(0, onnx.helper.make_node("Cast", [image.name], [given], to=kind))
    return str(image.name)


def out_fp32(graph: Any, result: Any, onnx: Any) -> None:
    """Have an output given in fp32."""
    if type_of(result) != FLOAT:
        given, result.name = result.name, f"{result.name}_as_fp32"
        result.type.tensor_type.elem_type = FLOAT
        graph.node.append(onnx.helper.make_node("Cast", [given], [result.name], to=FLOAT))


def _check(model: Any) -> None:
    if not model.graph.node:
        raise UnusableError("it holds no operators; expected a network, from a file that is whole")
    _check_domains(model)
    _check_tensors(model)


def _check_domains(model: Any) -> None:
    """Refuse operators of others; functions that the file itself defines are ONNX's in the end."""
    own = _OWN_DOMAINS | {function.domain for function in model.functions}
    for node in _nodes(model):
        if node.domain not in own:
            raise UnusableError(
                f"it holds the operator {node.domain}.{node.op_type}; expected operators of ONNX "
                "alone, which need no library of their own"
            )


def _check_tensors(model: Any) -> None:
    """Refuse weights outside of the file."""
    inside = [tensor for node in _nodes(model) for tensor in _tensors(node)]
    sparse = [part for one in model.graph.sparse_initializer for part in (one.values, one.indices)]
    for tensor in (*model.graph.initializer, *sparse, *inside):
        if tensor.data_location == _EXTERNAL or tensor.external_data:
            raise UnusableError(
                f"the weights of {tensor.name or 'a constant'} lie in another file; expected all "
                "in one. Load it where that file is and save it by onnx.save(model, 'name.onnx')"
            )


def _store_raw(graph: Any, onnx: Any) -> None:
    """Store bf16 weights as plain bytes: OpenVINO misreads them as a list of integers."""
    for tensor in graph.initializer:
        if tensor.data_type == BFLOAT16 and tensor.int32_data:
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
