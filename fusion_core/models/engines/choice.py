"""Chooses the engine of a network: what was asked for, against what is installed."""

from __future__ import annotations

from fusion_core.errors import SettingsError
from fusion_core.models.device import DTYPES, ResolvedPrecision
from fusion_core.models.engines.compiled import CompiledEngine
from fusion_core.models.engines.engine import EagerEngine, Engine
from fusion_core.models.engines.openvino_package import address_space_is_limited, is_installed
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.names import EngineName
from fusion_core.settings.fuse import EngineChoice


def resolve_engine(engine: EngineChoice, device: str) -> EngineName:
    """Turn ``auto`` into the engine to use for a network, and refuse what can't be used.

    ``auto`` is OpenVINO on a CPU where it is installed, else eager: compiling waits for a GPU on
    which its images have been compared. Under a limit of the address space (``ulimit -v``, batch
    systems) it is eager: OpenVINO's process may crash where the system refuses memory.

    Raises:
        SettingsError: The device doesn't go with the engine, or the engine runs no network.
    """
    on_cpu = device.startswith("cpu")
    if engine == "auto":
        best = on_cpu and is_installed() and not address_space_is_limited()
        return "openvino" if best else "eager"
    if engine == "openvino" and not on_cpu:
        raise SettingsError(
            f"engine is openvino and device is {device}; OpenVINO computes on CPUs. Set engine to "
            "auto, eager or compiled, or device to cpu."
        )
    if engine == "onnxruntime":
        raise SettingsError(
            "engine is onnxruntime, which computes ONNX files alone. Set engine to auto, eager, "
            "openvino or compiled."
        )
    return engine


def make_engine(
    name: EngineName,
    network: FusionNetwork,
    *,
    device: str,
    precision: ResolvedPrecision,
    model_hash: str,
) -> Engine:
    """Move a network to its device, cast it, and give it to an engine.

    Args:
        name: Which, as ``resolve_engine`` told.
        network: The network, in fp32 on the CPU; the engine's from then on.
        device: Where it is to compute.
        precision: What it is to compute in.
        model_hash: Its model hash.

    Raises:
        SettingsError: The engine isn't installed, or can't compute in the precision.
    """
    if name == "openvino":
        from fusion_core.models.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine(network.eval(), precision, model_hash)
    network = network.to(device).body_to(DTYPES[precision]).eval()
    return CompiledEngine(network) if name == "compiled" else EagerEngine(network)
