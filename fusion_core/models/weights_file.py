"""Weights on storage: a safetensors file that carries its own network configuration.

The header's metadata holds ``format`` (version of this layout), ``network`` (the
``NetworkConfig`` as JSON) and ``training`` (a summary as JSON). The sha256 of the file's bytes
is the model hash that ends up in the manifest. Nothing is unpickled.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from fusion_core.errors import WeightsError
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.mini_config import MiniConfig
from fusion_core.models.mini_network import MiniFuse
from fusion_core.models.model_file import ModelFile, read_model_file
from fusion_core.models.names import PACKAGED_NAME
from fusion_core.models.network import RefineFuse
from fusion_core.models.network_config import NetworkConfig
from fusion_core.storage.store import Storage

FORMAT = "1"
"""Version of the header; raised when a reader of the old one would misread the new one."""

_LENGTH_BYTES = 8  # safetensors begins with the header's length, unsigned, little-endian
_ALIGNMENT = 8  # of the first tensor: the header ends with spaces


@dataclass(frozen=True)
class LoadedInfo:
    """The url, hash and header of a weights file.

    Attributes:
        url: Where it was read from, or the name of packaged weights.
        sha256: The sha256 of the file's bytes in hex, which is the model hash.
        network: The configuration of its network.
        training: How it was trained, as the one who trained it wrote it down.
    """

    url: str
    sha256: str
    network: NetworkConfig | MiniConfig
    training: dict[str, Any]


def weights_body(
    model: FusionNetwork, training: dict[str, Any], dtype: torch.dtype = torch.float32
) -> bytes:
    """Return the bytes of a weights file, the same for the same arguments (``save_weights``)."""
    body = safetensors.torch.save(
        {name: tensor.to("cpu", dtype).contiguous() for name, tensor in model.state_dict().items()},
        metadata={
            "format": FORMAT,
            "network": model.config.model_dump_json(),
            "training": json.dumps(training),
        },
    )
    return _with_metadata_in_order(body)


def save_weights(
    url: str, model: FusionNetwork, training: dict[str, Any], dtype: torch.dtype = torch.float32
) -> str:
    """Write ``model`` with its configuration to ``url`` and return the file's sha256.

    Args:
        url: Path or fsspec URL; missing local folders are made, an existing file is replaced.
        model: The network; its weights are left as they are.
        training: JSON values that say how it was trained.
        dtype: Storage type of the tensors; float16 halves the file.

    Raises:
        StorageError: The file can't be written.
    """
    body = weights_body(model, training, dtype)
    Storage(url).write("", body)
    return hashlib.sha256(body).hexdigest()


def load_weights(
    url: str = PACKAGED_NAME, sha256: str | None = None
) -> tuple[FusionNetwork, LoadedInfo]:
    """Read a network from ``url``, as fp32 on the CPU.

    Args:
        url: Path or fsspec URL, or the name of packaged weights (``PACKAGED_NAMES``).
        sha256: Expected hash of the file in hex; the packaged weights bring their own.

    Raises:
        WeightsError: The file is missing, damaged, not the expected one, or doesn't fit its own
            configuration.
        StorageError: The store failed for good.
    """
    return parse_weights(read_model_file(url, sha256))


def parse_weights(file: ModelFile) -> tuple[FusionNetwork, LoadedInfo]:
    """Build the network that a weights file holds, as fp32 on the CPU.

    Raises:
        WeightsError: The file is damaged or doesn't fit its own configuration.
    """
    config, training = _header(file.url, file.body)
    try:
        tensors = safetensors.torch.load(file.body)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"Weights {file.url} can't be read: {error}. The file is damaged; fetch it again."
        ) from error
    info = LoadedInfo(file.url, file.sha256, config, training)
    return _build(file.url, config, tensors), info


def hash_model(model: FusionNetwork) -> str:
    """Return the model hash of a network without a file: sha256 over configuration and weights."""
    digest = hashlib.sha256(model.config.model_dump_json().encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def build_network(config: NetworkConfig | MiniConfig) -> FusionNetwork:
    """Build the untrained network that a configuration describes."""
    return MiniFuse(config) if isinstance(config, MiniConfig) else RefineFuse(config)


def _with_metadata_in_order(body: bytes) -> bytes:
    """Sort the metadata by name: safetensors writes it as it comes, another way each time."""
    tensors_begin = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES], "little")
    header = json.loads(body[_LENGTH_BYTES:tensors_begin])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + body[tensors_begin:]


def _header(url: str, body: bytes) -> tuple[NetworkConfig | MiniConfig, dict[str, Any]]:
    """Read configuration and training summary, which ``safetensors.torch.load`` leaves out."""
    length = int.from_bytes(body[:_LENGTH_BYTES], "little")
    try:
        header = json.loads(body[_LENGTH_BYTES : _LENGTH_BYTES + length])
        metadata = header.get("__metadata__", {})
    except (ValueError, AttributeError) as error:
        raise WeightsError(
            f"{url} is not a safetensors file or is cut short: its header is no JSON object. "
            "Weights are read from safetensors files only; fetch or convert it again."
        ) from error
    if not {"format", "network"} <= metadata.keys():
        raise WeightsError(
            f"Weights {url} have no 'format' and 'network' in their header (found: "
            f"{sorted(metadata) or 'nothing'}). Write them with this project's training or "
            "save_weights, which record the network's configuration."
        )
    if metadata["format"] != FORMAT:
        raise WeightsError(
            f"Weights {url} have format {metadata['format']}, this version reads {FORMAT}. "
            "Use the version of fuse-archive that wrote them."
        )
    try:
        training = json.loads(metadata.get("training", "{}"))
        network = json.loads(metadata["network"])
        kind = MiniConfig if "kind" in network else NetworkConfig
        return kind.model_validate_json(metadata["network"]), training
    except (ValidationError, ValueError, TypeError) as error:
        raise WeightsError(
            f"The header of weights {url} doesn't describe a network: {error}. "
            "Use the version of fuse-archive that wrote them."
        ) from error


def _build(
    url: str, config: NetworkConfig | MiniConfig, tensors: dict[str, Tensor]
) -> FusionNetwork:
    # On the meta device, so that a header which asks for absurd widths costs no memory.
    with torch.device("meta"):
        model = build_network(config)
    weights = {name: tensor.float() for name, tensor in tensors.items()}
    try:
        model.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"The tensors of weights {url} don't fit their own configuration: {error}. "
            "The file was assembled wrongly; export it again."
        ) from error
    if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
        raise WeightsError(
            f"Weights {url} hold infinities or NaN. The training that wrote them diverged, or they "
            "were stored as float16 beyond its range; train again or store float32."
        )
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model.eval()
