"""Reads a program of torch.export (.pt2) without running anything that the file holds.

``torch.export.load`` of torch 2.13 trusts its file: it unpickles sample inputs, custom objects and
old kinds of weights without restriction, loads compiled libraries, and evaluates the text of
symbolic sizes and of guards as Python. So the archive is read here instead: a zip file with a graph
as JSON and tensors as plain bytes. Its pickles are never opened, and of the graph nothing is taken
but calls of torch's own tensor operators (``models.exported.graph``). That is no sandbox
against bugs in these operators: give ``model_sha256`` for a file that others can write to.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fusion_core.errors import WeightsError
from fusion_core.models.device import DTYPES, ResolvedPrecision
from fusion_core.models.exported.graph import SCALAR_TYPES, Step, Unreadable, read_steps
from fusion_core.models.exported.sizes import SizeRules, read_sizes
from fusion_core.models.model_file import ModelFile

SCHEMA = 8
"""Major version of the graph's JSON that is read; torch 2.13 writes it."""

_ADVICE = (
    "Export it again: torch.export.save(torch.export.export(network.eval(), (ir, vi), …), "
    "'name.pt2'), where forward(ir, vi) takes and returns (1, 1, H, W)."
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that fuses, as it was exported.

    Attributes:
        steps: Its operators in their order.
        tensors: Weights and constants by the names that steps give them, on the CPU.
        inputs: Names of infrared and visible luminance.
        output: Name of the fused luminance.
        sizes: Heights and widths that it accepts.
        dtype: Type of its inputs.
        precision: The lowest precision that occurs among its weights.
    """

    steps: tuple[Step, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, str]
    output: str
    sizes: SizeRules
    dtype: torch.dtype
    precision: ResolvedPrecision


def read_program(file: ModelFile) -> Program:
    """Read and check the program of a .pt2 file.

    Raises:
        WeightsError: It is damaged or of another kind, holds more than tensors and tensor
            operators, or is no function of two luminance images.
    """
    try:
        return _read(zipfile.ZipFile(io.BytesIO(file.body)))
    except Unreadable as error:
        raise WeightsError(f"The program {file.url} can't be used: {error}. {_ADVICE}") from error
    except (
        zipfile.BadZipFile, KeyError, TypeError, ValueError, AttributeError, IndexError,
        RuntimeError, RecursionError, EOFError,
    ) as error:  # fmt: skip
        raise WeightsError(
            f"The program {file.url} can't be read: {type(error).__name__}: {error}. It is "
            f"damaged, or of a version that isn't known. {_ADVICE}"
        ) from error


def _read(archive: zipfile.ZipFile) -> Program:
    root = _root(archive)
    stored = json.loads(archive.read(f"{root}/models/model.json"))
    if stored["schema_version"]["major"] != SCHEMA:
        raise Unreadable(
            f"it has schema version {stored['schema_version']['major']}, written by torch "
            f"{stored.get('torch_version')}; expected {SCHEMA}, as torch 2.13 writes it"
        )
    graph, signature = stored["graph_module"]["graph"], stored["graph_module"]["signature"]
    payloads = _payloads(archive, f"{root}/data/weights/", "model_weights_config.json")
    payloads |= _payloads(archive, f"{root}/data/constants/", "model_constants_config.json")
    tensors, inputs = _inputs(signature["input_specs"], payloads)
    output = _output(signature["output_specs"])
    steps = read_steps(graph["nodes"], {*tensors}, {*inputs}, output)
    metas = [graph["tensor_values"][name] for name in inputs]
    dtypes = {SCALAR_TYPES.get(meta["dtype"]) for meta in metas}
    if len(dtypes) > 1 or not dtypes <= {*DTYPES.values()}:
        raise Unreadable(f"its inputs are {dtypes}; expected both in float32, bfloat16 or float16")
    sizes = read_sizes(
        [meta["sizes"] for meta in metas], stored["range_constraints"], stored["guards_code"]
    )
    dtype = next(iter(dtypes))
    assert dtype is not None
    return Program(
        steps=steps,
        tensors=tensors,
        inputs=inputs,
        output=output,
        sizes=sizes,
        dtype=dtype,
        precision=_precision({dtype, *(tensor.dtype for tensor in tensors.values())}),
    )


def _root(archive: zipfile.ZipFile) -> str:
    """Return the archive's one folder; refuse what torch.export.save of today doesn't write."""
    names = archive.namelist()
    root = names[0].partition("/")[0]
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
        raise Unreadable("it is a compressed zip file; expected a stored one, as torch writes it")
    if min(entry.header_offset for entry in archive.infolist()):
        raise Unreadable("its end is missing, or it begins with something else")
    if f"{root}/models/model.json" in names:
        if archive.read(f"{root}/byteorder") != b"little":
            raise Unreadable("its tensors are big-endian; expected little-endian ones")
        return root
    if any(name.endswith("/data.pkl") for name in names):
        raise Unreadable(
            "it is a pickle of torch.save or torch.jit, which could run any code and is never "
            "loaded; RefineFuse weights are converted by "
            "fusion_core.models.weights_file.save_weights"
        )
    raise Unreadable(
        "it holds no models/model.json; expected what torch.export.save of torch 2.13 writes"
    )


def _payloads(archive: zipfile.ZipFile, folder: str, index: str) -> dict[str, Tensor]:
    """Read the tensors of one folder by their names in the network."""
    entries = json.loads(archive.read(folder + index))["config"]
    return {name: _payload(archive, folder, name, entry) for name, entry in entries.items()}


def _payload(archive: zipfile.ZipFile, folder: str, name: str, entry: dict[str, Any]) -> Tensor:
    meta = entry["tensor_meta"]
    if entry["use_pickle"] or meta is None:
        raise Unreadable(
            f"{name} is stored as a pickle, which could run any code and is never loaded; expected "
            "plain tensors only (no custom objects, no tensor subclasses)"
        )
    dtype = SCALAR_TYPES.get(meta["dtype"])
    if dtype is None:
        raise Unreadable(f"{name} has the unknown scalar type {meta['dtype']}")
    sizes, strides = ([int(side["as_int"]) for side in meta[key]] for key in ("sizes", "strides"))
    body = bytearray(archive.read(folder + entry["path_name"]))
    if not body:
        return torch.zeros(sizes, dtype=dtype)
    flat = torch.frombuffer(body, dtype=dtype)
    tensor = flat.as_strided(sizes, strides, int(meta["storage_offset"]["as_int"]))
    if dtype.is_floating_point and not bool(tensor.isfinite().all()):
        raise Unreadable(f"{name} holds infinities or NaN; its training diverged")
    return tensor


def _inputs(
    specs: list[dict[str, Any]], payloads: dict[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, str]]:
    """Tell weights from images among the graph's inputs."""
    tensors, images = {}, []
    for spec in specs:
        ((kind, value),) = spec.items()
        if kind == "user_input" and "as_tensor" in value["arg"]:
            images.append(value["arg"]["as_tensor"]["name"])
        elif kind in ("parameter", "buffer", "tensor_constant"):
            tensors[value["arg"]["name"]] = payloads[value[f"{kind}_name"]]
        else:
            raise Unreadable(f"it has an input of the kind {kind}; expected two images alone")
    if len(images) != 2:
        raise Unreadable(f"it takes {len(images)} images; expected two, infrared and visible")
    return tensors, (images[0], images[1])


def _output(specs: list[dict[str, Any]]) -> str:
    kinds = [kind for spec in specs for kind in spec]
    if kinds != ["user_output"] or "as_tensor" not in specs[0]["user_output"]["arg"]:
        raise Unreadable(
            f"it gives {kinds}; expected one tensor and no change of its weights or inputs"
        )
    name: str = specs[0]["user_output"]["arg"]["as_tensor"]["name"]
    return name


def _precision(dtypes: set[torch.dtype]) -> ResolvedPrecision:
    if torch.float16 in dtypes:
        return "fp16"
    return "bf16" if torch.bfloat16 in dtypes else "fp32"
