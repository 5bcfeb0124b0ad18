"""A detector of sixteen cells that finds bright and dark ones, and images with bright squares."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from tiny import png

from fusion_core.jobs.detect_settings import DetectSettings
from fusion_core.storage.store import Storage

SIDE, CELL = 32, 8
DESCRIPTION: Mapping[str, Any] = {
    "head": "yolov8",
    "size": [SIDE, SIDE],
    "classes": ["bright", "dark"],
    "letterbox": "none",
}


def detector_model(channels: int = 3) -> Any:
    """Return a model of the head yolov8: a cell is bright by its mean, and dark by what is left."""
    cells = (np.arange(SIDE // CELL) + 0.5) * CELL
    y, x = (axis.ravel() for axis in np.meshgrid(cells, cells, indexing="ij"))
    boxes = np.stack((x, y, np.full(x.size, CELL), np.full(x.size, CELL))).astype(np.float32)
    tensors = [
        onnx.numpy_helper.from_array(boxes[None], "boxes"),
        onnx.numpy_helper.from_array(np.array([1, 1, -1]), "row"),
        onnx.numpy_helper.from_array(np.array([1], np.int64), "axis"),
        onnx.numpy_helper.from_array(np.array(1, np.float32), "one"),
    ]
    node = helper.make_node
    nodes = [
        node("AveragePool", ["image"], ["cells"], kernel_shape=[CELL] * 2, strides=[CELL] * 2),
        node("ReduceMean", ["cells", "axis"], ["mean"], keepdims=1),
        node("Reshape", ["mean", "row"], ["bright"]),
        node("Sub", ["one", "bright"], ["dark"]),
        node("Concat", ["boxes", "bright", "dark"], ["found"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, SIDE, SIDE])
    found = helper.make_tensor_value_info("found", TensorProto.FLOAT, [None] * 3)
    graph = helper.make_graph(nodes, "squares", [image], [found], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def write_detector(folder: Path | str, **changes: Any) -> str:
    """Write the detector and its description below a folder, and return the ONNX file's path."""
    path = Path(folder) / "squares.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save_model(detector_model(), path)
    path.with_suffix(".json").write_text(json.dumps({**DESCRIPTION, **changes}))
    return str(path)


def squares(*cells: tuple[int, int], light: int = 255, ground: int = 128) -> NDArray[np.uint8]:
    """Return a grey image, which is bright in some cells, each a row and a column."""
    image = np.full((SIDE, SIDE), ground, np.uint8)
    for row, column in cells:
        image[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = light
    return image


def corners(row: int, column: int) -> list[float]:
    """Return left, top, width and height of a cell."""
    return [column * CELL, row * CELL, CELL, CELL]


def write_square_pair(
    folder: Path | str,
    name: str,
    ir: Sequence[tuple[int, int]] = (),
    vi: Sequence[tuple[int, int]] = (),
    fused: Sequence[tuple[int, int]] | None = None,
) -> None:
    """Write a pair that is bright in these cells, and an image of the method m if there is one."""
    storage = Storage(str(folder))
    storage.write(f"ir/{name}.png", png(squares(*ir)))
    storage.write(f"vi/{name}.png", png(np.repeat(squares(*vi)[..., None], 3, axis=2)))
    if fused is not None:
        storage.write(f"fused_m/{name}.png", png(squares(*fused)))


def detect_settings_for(
    source: Path | str, output: Path | str, path: str, **changes: Any
) -> DetectSettings:
    """Return settings of a gentle run with the detector of a path; ``changes`` are more fields."""
    gentle: dict[str, Any] = {"worker": "cpu:1", "max_workers": 1, "io_threads": 2}
    gentle |= {"contact_sheet": 0, "report": False, "score_threshold": 0.8}
    fields = {"source": str(source), "output": str(output), "detector": path}
    fused = {"m": "fused_m/{pair}.png"}
    return DetectSettings(**{**gentle, **fields, "fused": fused, **changes})
