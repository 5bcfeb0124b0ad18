"""Keeps converted networks in files: some come with the package, the others are cached.

A file is a zip of the graph and its weights as OpenVINO writes them, whose comment is the hash of
the model that it was made of, and whose checksums tell damage. ``models.packaging`` makes those
that come with the package.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np

from fusion_core.models.engines.cache_folder import cache_folder
from fusion_core.models.engines.converted import CONVERSION, Graph, convert
from fusion_core.models.engines.openvino_package import openvino
from fusion_core.models.fusion_network import FusionNetwork

_GRAPH, _WEIGHTS = "graph.xml", "graph.bin"
_DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError)
log = logging.getLogger(__name__)


def converted(network: FusionNetwork, model_hash: str) -> Graph:
    """Return a network converted: as it is stored, or anew, which takes seconds and is stored.

    Args:
        network: The network in fp32 on the CPU.
        model_hash: Its model hash.
    """
    for path in _places(model_hash):
        if (graph := _read(path, model_hash)) is not None:
            return graph
    log.info("converting the network for OpenVINO; it is kept for the next time")
    graph = convert(network)
    _store(graph, model_hash)
    return graph


def file_name(model_hash: str) -> str:
    """Return the name of the file of a model."""
    return f"openvino-{CONVERSION}-{model_hash[:16]}.zip"


def packed(graph: Graph, model_hash: str, *, half: bool = False) -> bytes:
    """Return the content of the file of a graph.

    Args:
        graph: The graph.
        model_hash: Hash of the model that it was made of.
        half: Whether to store weights in fp16; for weights that lose nothing by it.
    """
    graph = _as_sums_of_halves(graph) if half else graph
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _GRAPH
        openvino().save_model(graph, path, compress_to_fp16=half)
        parts = {name: (Path(folder) / name).read_bytes() for name in (_GRAPH, _WEIGHTS)}
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = model_hash.encode()
        for name, content in parts.items():
            # Of a fixed date, so that the same graph makes the same file.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return body.getvalue()


def unpacked(body: bytes, model_hash: str) -> Graph:
    """Return the graph of a file's content.

    Raises:
        ValueError: It was made of another model.
        BadZipFile: It is damaged; or another of the errors of reading zip files.
        RuntimeError: It holds no graph that OpenVINO reads.
    """
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if archive.comment != model_hash.encode():
            raise ValueError(f"it was made of the model {archive.comment[:64]!r}")
        graph, weights = archive.read(_GRAPH), archive.read(_WEIGHTS)
    return openvino().Core().read_model(model=graph, weights=weights)


def _as_sums_of_halves(graph: Graph) -> Graph:
    """Return a graph whose constants that fp16 would round, as a stretch, are sums of two."""
    operators, graph = openvino().opset13, graph.clone()
    for node in graph.get_ops():
        if node.get_type_name() != "Constant" or node.get_element_type().get_type_name() != "f32":
            continue
        exact = np.array(node.data)
        half = exact.astype(np.float16).astype(np.float32)
        if not np.array_equal(half, exact):
            parts = (operators.constant(part) for part in (half, exact - half))
            node.output(0).replace(operators.add(*parts).output(0))
    return graph


def _places(model_hash: str) -> Iterator[Path]:
    name = file_name(model_hash)
    with resources.as_file(resources.files("fusion_core.models.weights") / name) as packaged:
        yield packaged
    if (folder := cache_folder()) is not None:
        yield folder / name


def _read(path: Path, model_hash: str) -> Graph | None:
    """Read a file; None where it is absent or can't be used, which costs time alone."""
    try:
        return unpacked(path.read_bytes(), model_hash)
    except FileNotFoundError:
        return None
    except _DAMAGED as error:
        log.warning("%s can't be used, and is made anew: %s", path, error)
        return None


def _store(graph: Graph, model_hash: str) -> None:
    """Cache a graph, whole or not at all, for others may read or write the same file."""
    folder = cache_folder()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=folder)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(packed(graph, model_hash))
            Path(part).replace(folder / file_name(model_hash))
        except BaseException:
            Path(part).unlink(missing_ok=True)
            raise
    except OSError as error:
        log.warning("the converted network can't be kept in %s: %s", folder, error)
