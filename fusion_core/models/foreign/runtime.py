"""Computes ONNX files: by OpenVINO on CPUs, by ONNX Runtime on GPUs or where there is no other."""

from __future__ import annotations

import importlib.util
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.engines.openvino_package import (
    address_space_is_limited,
    infer,
    is_installed,
    openvino,
)
from fusion_core.models.names import EngineName
from fusion_core.settings.fuse import EngineChoice

_FATAL = 4  # ONNX Runtime's severity; errors are raised, and warnings are of graphs, not of results
_CUDA = "CUDAExecutionProvider"
Image = NDArray[np.float32]


class Computable(Protocol):
    """A program that can be computed.

    Attributes:
        body: The model, as ONNX stores it.
        inputs: Names of its images, in the order in which they are handed in.
    """

    @property
    def body(self) -> bytes: ...  # noqa: D102

    @property
    def inputs(self) -> tuple[str, ...]: ...  # noqa: D102


class Runtime(Protocol):
    """Computes one program.

    Attributes:
        name: The manifest's column ``engine``.
    """

    name: EngineName

    def run(self, *images: Image) -> NDArray[Any]:
        """Compute the program's first output; raises whatever the library raises."""
        ...

    def give_back(self) -> None:
        """Give back the memory that is kept from one image to the next."""
        ...


class OpenVinoRuntime:
    """Computes with OpenVINO on the CPU."""

    name: EngineName = "openvino"

    def __init__(self, program: Computable) -> None:
        """Compile a program; raises whatever OpenVINO raises."""
        core = openvino().Core()
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,
        }
        self._inputs = program.inputs
        self._program = core.compile_model(core.read_model(model=program.body), "CPU", options)

    def run(self, *images: Image) -> NDArray[Any]:
        """Compute the program; see ``Runtime``."""
        inputs = dict(zip(self._inputs, images, strict=True))
        # A program may leave nothing of a small image, in which case a larger one is tried.
        found = infer(self._program, inputs, may_be_empty=not address_space_is_limited())
        return np.array(found[0])

    def give_back(self) -> None:
        """Give back what OpenVINO keeps; see ``Runtime``."""
        self._program.release_memory()


class OnnxRuntime:
    """Computes with ONNX Runtime, on a GPU by CUDA or on the CPU."""

    name: EngineName = "onnxruntime"

    def __init__(self, program: Computable, device: str) -> None:
        """Make a session for a program.

        Raises:
            SettingsError: The device is a GPU, and ONNX Runtime here knows none.
        """
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _FATAL
        wanted: list[Any] = ["CPUExecutionProvider"]
        if on_gpu := device.startswith("cuda"):
            wanted = [(_CUDA, {"device_id": torch.device(device).index or 0})]
        if on_gpu and _CUDA not in onnxruntime.get_available_providers():
            raise SettingsError(_no_cuda(device))
        self._inputs = program.inputs
        self._session = onnxruntime.InferenceSession(program.body, options, providers=wanted)
        # Where CUDA's libraries can't be loaded, it takes the CPU instead, and only logs it.
        if on_gpu and _CUDA not in self._session.get_providers():
            raise SettingsError(_no_cuda(device))

    def run(self, *images: Image) -> NDArray[Any]:
        """Compute the program; see ``Runtime``."""
        found: NDArray[Any] = self._session.run(None, dict(zip(self._inputs, images, strict=True)))[
            0
        ]
        return found

    def give_back(self) -> None:
        """Do nothing: what it keeps is as much as its largest image took, and isn't told."""


def resolve_runtime(engine: EngineChoice, device: str) -> EngineName:
    """Turn ``auto`` into what computes ONNX files on a device.

    Raises:
        SettingsError: The engine computes no ONNX files, or not on the device; or none is
            installed.
    """
    on_cpu = device.startswith("cpu")
    if engine == "openvino" and on_cpu:
        return "openvino"
    if engine == "onnxruntime":
        return "onnxruntime"
    if engine != "auto":
        raise SettingsError(
            f"engine is {engine}, and the model is an ONNX file on {device}; expected auto, "
            "openvino (on a CPU) or onnxruntime. Set engine to auto."
        )
    if on_cpu and is_installed():
        return "openvino"
    if importlib.util.find_spec("onnxruntime") is not None:
        return "onnxruntime"
    extra, package = ("cpu", "OpenVINO") if on_cpu else ("onnx-gpu", "ONNX Runtime")
    raise SettingsError(
        f"the model is an ONNX file, and {package}, which computes it on {device}, isn't "
        f"installed. Install it by pip install 'fuse-archive[{extra}]'."
    )


def make_runtime(name: EngineName, program: Computable, device: str, model: str) -> Runtime:
    """Make what computes a program.

    Args:
        name: Which, as ``resolve_runtime`` told.
        program: The program.
        device: Where it is to compute.
        model: Its name, for messages.

    Raises:
        WeightsError: The program holds what can't be computed.
        SettingsError: What is to compute it isn't installed, or not for the device.
    """
    try:
        return OpenVinoRuntime(program) if name == "openvino" else OnnxRuntime(program, device)
    except ImportError as error:
        extra = "cpu" if name == "openvino" else "onnx-gpu"
        raise SettingsError(
            f"engine is {name}, which can't be loaded here: {error}. Install it by pip install "
            f"'fuse-archive[{extra}]', or set engine to auto."
        ) from error
    except (SettingsError, MemoryError):
        raise
    except Exception as error:  # the libraries have no error of their own for it
        told = str(error).strip().splitlines()
        raise WeightsError(
            f"The model {model} can't be computed by {name}: {' '.join(told)[:400]}. Export it "
            "with other operators or another opset, or set engine to the other of openvino and "
            "onnxruntime."
        ) from error


def _no_cuda(device: str) -> str:
    return (
        f"device is {device}, and ONNX Runtime here has no CUDA or can't load it. Install "
        "fuse-archive[onnx-gpu] and no other onnxruntime beside it, with the CUDA libraries that "
        "it asks for; or set worker to cpu."
    )
