"""Small ONNX files, made of operators one by one, since exporting a network takes seconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

FREE = (1, 1, "height", "width")
TYPES = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


def fusing_model(
    shape: Sequence[int | str] = FREE,
    precision: str = "fp32",
    names: tuple[str, str] = ("ir", "vi"),
) -> Any:
    """Return a model that takes even sizes, and whose result ``fused_by_hand`` tells.

    Args:
        shape: Of both images and of the result.
        precision: Of all tensors.
        names: Of infrared and visible image.
    """
    kind, channels_last = TYPES[precision], shape[3] == 1
    ir, vi = names
    weights = {"share": [0.25, 0.75], "of_detail": [0.8], "of_base": [0.2]}
    tensors = [helper.make_tensor(name, kind, [len(w)], w) for name, w in weights.items()]
    tensors[0].dims[:] = [1, 2, 1, 1]
    tensors.append(helper.make_tensor("twice", TensorProto.FLOAT, [4], [1.0, 1.0, 2.0, 2.0]))
    node = helper.make_node
    planes, nodes = [ir, vi], []
    if channels_last:
        planes = [f"{name}_plane" for name in names]
        nodes = [
            node("Transpose", [name], [plane], perm=[0, 3, 1, 2])
            for name, plane in zip(names, planes, strict=True)
        ]
    nodes += [
        node("Concat", planes, ["both"], axis=1),
        node("AveragePool", ["both"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["small", "share"], ["mixed"]),
        node("Resize", ["mixed", "", "twice"], ["base"], mode="nearest"),
        node("Max", planes, ["strongest"]),
        node("Mul", ["strongest", "of_detail"], ["detail"]),
        node("Mul", ["base", "of_base"], ["soft"]),
        node("Add", ["detail", "soft"], ["plane" if channels_last else "fused"]),
    ]
    if channels_last:
        nodes.append(node("Transpose", ["plane"], ["fused"], perm=[0, 2, 3, 1]))
    return model_of(nodes, shape, tensors, kind=kind, names=names)


def model_of(
    nodes: Sequence[Any],
    shape: Sequence[int | str] = FREE,
    tensors: Sequence[Any] = (),
    *,
    kind: int = TensorProto.FLOAT,
    names: Sequence[str] = ("ir", "vi"),
) -> Any:
    """Return a model of these operators, of images to ``fused``."""
    values = [helper.make_tensor_value_info(name, kind, list(shape)) for name in names]
    fused = helper.make_tensor_value_info("fused", kind, [None] * 4)
    graph = helper.make_graph(list(nodes), "fusion", values, [fused], list(tensors))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def onnx_file(folder: Path | str, model: Any = None, name: str = "plain") -> str:
    """Write a model, or ``fusing_model()``, below a folder and return the file's path."""
    path = Path(folder) / f"{name}.onnx"
    onnx.save_model(model or fusing_model(), path)
    return str(path)


def fused_by_hand(ir: NDArray[np.float32], vi: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute what ``fusing_model`` does, for (B, 1, H, W) of even sizes."""
    mixed = 0.25 * ir + 0.75 * vi
    batch, _, height, width = ir.shape
    base = mixed.reshape(batch, 1, height // 2, 2, width // 2, 2).mean((3, 5))
    base = base.repeat(2, axis=2).repeat(2, axis=3)
    fused: NDArray[np.float32] = (0.8 * np.maximum(ir, vi) + 0.2 * base).astype(np.float32)
    return fused
