"""The interface of all methods of fusing, and how one is chosen by its name or file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from fusion_core.models.baselines import BASELINES, BaselineFuser, baseline_hash
from fusion_core.models.device import ResolvedPrecision
from fusion_core.models.foreign.fuser import ForeignFuser
from fusion_core.models.foreign.program import read_program
from fusion_core.models.model_file import check_hash, read_model_file
from fusion_core.models.names import EngineName
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.weights_file import parse_weights
from fusion_core.settings.fuse import EngineChoice, Precision


class Fuser(Protocol):
    """A method of fusing on a device.

    Attributes:
        name: Name of the method; the manifest's column ``method``.
        device: Where it computes, such as ``cpu`` or ``cuda:0``.
        precision: Precision of its arithmetic; callers see fp32.
        engine: What computes it.
        model_hash: Changes whenever other pixels may result: sha256 of the model's file, or of a
            baseline's name and version.
        receptive_radius: How far from a pixel those lie that its value depends on, in pixels;
            scenes are cut into tiles that overlap by it.
        bytes_per_pixel: Memory that a fusion takes at its peak for each pixel of the batch, in
            bytes, beside the pixels given; measured, and 15 % more at most.
    """

    name: str
    device: str
    precision: ResolvedPrecision
    engine: EngineName
    model_hash: str
    receptive_radius: int
    bytes_per_pixel: int

    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Fuse aligned pairs; no pair's result depends on the others of its batch.

        Args:
            ir: Infrared, (B, 1, H, W), float32, in [0, 1]; any H and W from 1 up.
            vi: Visible luminance, same shape and range.

        Returns:
            Fused luminance, (B, 1, H, W), float32, in [0, 1], on the device of ``ir``.

        Raises:
            ValueError: The shapes are not as above.
            WeightsError: An ONNX file can't take the size, or its result is no image.
        """
        ...

    def give_back(self) -> None:
        """Give back the memory that is kept from one fusion to the next, if any is."""
        ...


@dataclass(frozen=True)
class Model:
    """A method of fusing that is read and checked, and not on any device yet.

    Attributes:
        name: The name that its fuser will have.
        model_hash: The model hash that it will have.
        fuser: Makes the fuser, given device, precision and engine; raises SettingsError where they
            can't be used.
    """

    name: str
    model_hash: str
    fuser: Callable[[str, Precision, EngineChoice], Fuser]


def read_model(model: str = "refinefuse", sha256: str | None = None) -> Model:
    """Read and check a method of fusing.

    Args:
        model: The name of packaged weights (``PACKAGED_NAMES``); ``mean``, ``maximum``,
            ``laplacian`` or ``guided``; or path or fsspec URL of a file: weights of ours
            (safetensors) or a network as ONNX, told apart by their content.
        sha256: Expected model hash in hex; see ``read_model_file`` for packaged names.

    Raises:
        WeightsError: The file can't be used or is not the expected one.
        StorageError: It can't be reached.
        SettingsError: It is an ONNX file, and the package onnx isn't installed.
    """
    if model in BASELINES:
        found = baseline_hash(model)
        check_hash(f"The method {model}", found, sha256)
        return Model(
            model,
            found,
            lambda device, precision, engine: BaselineFuser(
                model, device, precision, engine=engine
            ),
        )
    file = read_model_file(model, sha256)
    if file.kind == "onnx":
        program = read_program(file)
        return Model(
            file.stem,
            file.sha256,
            lambda device, precision, engine: ForeignFuser(
                program, device, precision, engine=engine, name=file.stem, model_hash=file.sha256
            ),
        )
    network, _ = parse_weights(file)
    return Model(
        network.name,
        file.sha256,
        lambda device, precision, engine: NetworkFuser(
            network, device, precision, file.sha256, engine=engine
        ),
    )


def load_fuser(
    model: str = "refinefuse",
    device: str = "auto",
    precision: Precision = "auto",
    sha256: str | None = None,
    *,
    engine: EngineChoice = "auto",
) -> Fuser:
    """Make a method of fusing ready on a device.

    Args:
        model: As for ``read_model``.
        device: A torch device; ``auto`` is ``cuda`` where there is one, else ``cpu``.
        precision: Precision of a network's body; ``auto`` is bf16 where the device computes it
            natively, else fp32. Baselines take ``auto`` and ``fp32`` only, an ONNX file ``auto``
            and its own.
        sha256: Expected model hash in hex.
        engine: What computes it; ``auto`` is the best that is installed for model and device.
            Baselines take ``auto`` and ``eager`` only.

    Raises:
        WeightsError: The model can't be used or is not the expected one.
        StorageError: It can't be reached.
        SettingsError: Device, precision or engine can't be used.
    """
    return read_model(model, sha256).fuser(device, precision, engine)
