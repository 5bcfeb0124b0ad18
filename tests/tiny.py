"""Small archives and a small network, for tests in which the pixels don't matter."""

import datetime as dt
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fusion_core.fuser import Fuser
from fusion_core.network import NetworkConfig, RefineFuse
from fusion_core.plan import PairRef
from fusion_core.score_settings import ScoreArchiveSettings
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage
from fusion_core.weights_file import save_weights

TINY = NetworkConfig(levels=2, widths=(8, 8), decoder_width=8, token_grid=4)
TODAY = dt.date(2026, 7, 19)


def tiny_model(seed: int = 9) -> RefineFuse:
    """Return a network of 4437 random weights; equal seeds give equal ones."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = RefineFuse(TINY)
        model.head.weight.mul_(60)  # an untrained network's images are nearly uniform
    return model


def tiny_fuser(seed: int = 9) -> Fuser:
    return Fuser(tiny_model(seed), "cpu", "fp32")


def tiny_weights(folder: Path | str) -> str:
    """Write a tiny network below ``folder`` (a path or fsspec URL) and return the file's path."""
    path = f"{str(folder).rstrip('/')}/tiny.safetensors"
    save_weights(path, tiny_model(), {"note": "random weights for tests"})
    return path


def picture_pair(
    seed: int, size: tuple[int, int] = (24, 32)
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a grey infrared and an RGB visible image of ``size`` (H, W), different per seed."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 200, size[1], dtype=np.float32)
    ir = ramp + rng.uniform(0, 55, size)
    vi = ramp[::-1, None] + rng.uniform(0, 55, (*size, 3))
    return ir.astype(np.uint8), vi.astype(np.uint8)


def png(pixels: NDArray[Any]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def write_pairs(
    folder: Path | str, names: Iterable[str], size: tuple[int, int] = (24, 32)
) -> list[str]:
    """Write ``ir/{name}.png`` (grey) and ``vi/{name}.png`` (RGB) below a path or fsspec URL.

    A name always gets the same pixels, so that writing it twice changes no content.
    """
    written = list(names)
    storage = Storage(str(folder))
    for name in written:
        ir, vi = picture_pair(int.from_bytes(name.encode()[-8:]), size)
        storage.write(f"ir/{name}.png", png(ir))
        storage.write(f"vi/{name}.png", png(vi))
    return written


def write_fused(
    folder: Path | str, method: str, names: Iterable[str], size: tuple[int, int] = (24, 32)
) -> None:
    """Write ``fused_{method}/{name}.png``: noise of its own for each method and name."""
    storage = Storage(str(folder))
    for name in names:
        pixels = picture_pair(int.from_bytes(f"{method}{name}".encode()[-8:]), size)[0]
        storage.write(f"fused_{method}/{name}.png", png(pixels[::-1]))


def pair_refs(folder: Path | str, names: Iterable[str]) -> tuple[PairRef, ...]:
    """Return references to the pairs of :func:`write_pairs`, with what a listing says of them."""
    storage = Storage(str(folder))
    listing = {row["path"]: row for row in storage.list().to_pylist()}

    def ref(name: str) -> PairRef:
        ir, vi = listing[f"ir/{name}.png"], listing[f"vi/{name}.png"]
        return PairRef(name, *ir.values(), *vi.values())

    return tuple(ref(name) for name in names)


def settings_for(
    source: Path | str, output: Path | str, weights: Path | str, **changes: Any
) -> FuseArchiveSettings:
    """Return settings of a run that is gentle to the machine; ``changes`` are further fields."""
    gentle: dict[str, Any] = {"worker": "cpu:1", "max_workers": 2, "io_threads": 2}
    fields = {"source": str(source), "output": str(output), "weights": str(weights)}
    return FuseArchiveSettings(**{**gentle, **fields, "precision": "fp32", **changes})


def score_settings_for(
    source: Path | str, output: Path | str, *methods: str, **changes: Any
) -> ScoreArchiveSettings:
    """Return settings that score what :func:`write_fused` wrote; ``changes`` are more fields."""
    gentle: dict[str, Any] = {"worker": "cpu:1", "max_workers": 1, "io_threads": 2}
    fused = {method: f"fused_{method}/{{pair}}.png" for method in methods}
    fields = {"source": str(source), "output": str(output), "fused": fused}
    return ScoreArchiveSettings(**{**gentle, **fields, **changes})


def empty_memory_store() -> None:
    """Forget everything below memory://, which all tests of a process share."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
