"""Makes the files of this package out of trained weights.

    python -m fusion_core.models.packaging refinefuse training/weights.safetensors --stretch 1.0225

stores the weights as float16 under a packaged name, with their sha256, and converted for OpenVINO.
A stretch takes the place of that of the training: another contrast of the same images. Without
arguments it only converts, for when the conversion has changed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from fusion_core.models.engines.converted import convert
from fusion_core.models.engines.converted_file import file_name, packed
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.names import PACKAGED_NAMES
from fusion_core.models.network import RefineFuse
from fusion_core.models.network_config import NetworkConfig
from fusion_core.models.weights_file import load_weights, save_weights

FOLDER = Path(__file__).with_name("weights")


def package(name: str, url: str, folder: Path = FOLDER, *, stretch: float | None = None) -> str:
    """Store weights under a packaged name, in place of what it stood for; return their sha256.

    Args:
        name: One of ``PACKAGED_NAMES``.
        url: The weights as they were trained.
        folder: Where the package keeps its weights.
        stretch: What the network's tanh is multiplied by. Default: as it was trained.

    Raises:
        ValueError: The package knows no such name, or the network has no stretch.
        WeightsError: The weights can't be used.
        StorageError: A file can't be read or written.
    """
    if name not in PACKAGED_NAMES:
        raise ValueError(f"found the name {name!r}, expected one of {', '.join(PACKAGED_NAMES)}")
    network, info = load_weights(url)
    if stretch is not None:
        network = _stretched(network, stretch)
    path = folder / f"{name}.safetensors"
    sha256 = save_weights(str(path), network, info.training, torch.float16)
    (folder / f"{name}.sha256").write_text(f"{sha256}  {path.name}\n")
    return sha256


def convert_packaged(folder: Path = FOLDER) -> None:
    """Convert for OpenVINO the packaged weights that aren't, and remove what is of others.

    Args:
        folder: Where the package keeps its weights.
    """
    stale = set(folder.glob("openvino-*.zip"))
    for name in PACKAGED_NAMES:
        network, info = load_weights(str(folder / f"{name}.safetensors"))
        path = folder / file_name(info.sha256)
        if not path.exists():
            # Stored as fp16, of which weights that are fp16 lose nothing.
            path.write_bytes(packed(convert(network), info.sha256, half=True))
        stale.discard(path)
    for path in stale:
        path.unlink()


def _stretched(network: FusionNetwork, stretch: float) -> RefineFuse:
    if not isinstance(network, RefineFuse):
        raise ValueError(f"found a {network.name}, expected a RefineFuse: no other has a stretch")
    values = network.config.model_dump() | {"stretch": stretch}
    stretched = RefineFuse(NetworkConfig.model_validate(values))
    stretched.load_state_dict(network.state_dict())
    return stretched


def main() -> None:
    """Do what the module's text says."""
    options = argparse.ArgumentParser(description="Make trained weights files of this package.")
    options.add_argument("name", nargs="?", choices=PACKAGED_NAMES)
    options.add_argument("url", nargs="?")
    options.add_argument("--stretch", type=float)
    asked = options.parse_args()
    if asked.url:
        print(package(asked.name, asked.url, stretch=asked.stretch))
    convert_packaged()


if __name__ == "__main__":
    main()
