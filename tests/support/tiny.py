"""Small archives and a small network, for tests in which the pixels don't matter."""

import datetime as dt
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from fusion_core.archive.plan import PairRef
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.models.network import RefineFuse
from fusion_core.models.network_config import NetworkConfig
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.weights_file import save_weights
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage
from fusion_core.training.settings import TrainSettings

TINY = NetworkConfig(levels=2, widths=(8, 8), decoder_width=8, token_grid=4)
TODAY = dt.date(2026, 7, 19)


def tiny_model(seed: int = 9) -> RefineFuse:
    """Return a network of 4437 random weights; equal seeds give equal ones."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        model = RefineFuse(TINY)
        model.head.weight.mul_(60)  # an untrained network's images are nearly uniform
    return model


def tiny_fuser(seed: int = 9) -> NetworkFuser:
    return NetworkFuser(tiny_model(seed), "cpu", "fp32")


def tiny_weights(folder: Path | str) -> str:
    """Write a tiny network below ``folder`` (a path or fsspec URL) and return the file's path."""
    path = f"{str(folder).rstrip('/')}/tiny.safetensors"
    save_weights(path, tiny_model(), {"note": "random weights for tests"})
    return path


class PlainFusion(nn.Module):
    """A tiny fusing network as others write them: batch norm, halving, attention, a Python sum."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(2, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.project = nn.Linear(4, 12)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Conv2d(4, 1, 3, padding=1)

    def forward(self, ir: Tensor, vi: Tensor) -> Tensor:
        features = functional.relu(self.norm(self.down(torch.cat((ir, vi), 1))), inplace=True)
        tokens = functional.adaptive_avg_pool2d(features, 1).flatten(2).mT.unsqueeze(1)
        query, key, value = self.project(tokens).chunk(3, -1)
        attended = functional.scaled_dot_product_attention(query, key, value)
        features = features + self.drop(attended).flatten(1)[..., None, None]
        features = functional.interpolate(features, scale_factor=2)
        strongest, _ = torch.stack((ir, vi)).max(0)
        ramp = torch.arange(features.shape[-1], device=ir.device) / features.shape[-1]
        return strongest * 0.8 + torch.sigmoid(self.out(features)) * 0.2 + 0.1 * ramp


def plain_network(seed: int = 5) -> PlainFusion:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PlainFusion().eval()


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


def pair_refs(
    folder: Path | str, names: Iterable[str], extension: str = "png"
) -> tuple[PairRef, ...]:
    """Return references to the pairs of ``write_pairs``, with what a listing says of them."""
    storage = Storage(str(folder))
    listing = {row["path"]: row for row in storage.list().to_pylist()}

    def ref(name: str) -> PairRef:
        ir, vi = (listing[f"{side}/{name}.{extension}"] for side in ("ir", "vi"))
        return listed_pair(name, ir, vi)

    return tuple(ref(name) for name in names)


def listed_pair(name: str, ir: Mapping[str, Any], vi: Mapping[str, Any]) -> PairRef:
    """Return a reference to a pair by the rows of a listing."""
    sides = {"ir": ir, "vi": vi}
    columns = ("path", "bytes", "version")
    return PairRef(name, **{f"{s}_{column}": sides[s][column] for s in sides for column in columns})


def settings_for(
    source: Path | str, output: Path | str, model: Path | str, **changes: Any
) -> FuseArchiveSettings:
    """Return settings of a run that is gentle to the machine; ``changes`` are further fields.

    A contact sheet is drawn by a process of its own, which takes as long as the small run before;
    so are the pictures of a report.
    Rows are published while the run is at work, as they are in a night of hours.
    """
    gentle: dict[str, Any] = {"worker": "cpu:1", "max_workers": 2, "io_threads": 2}
    gentle |= {"contact_sheet": 0, "report": False, "publish_seconds": 0.2}
    gentle["engine"] = "eager"  # converting a network takes seconds, and the images are small
    fields = {"source": str(source), "output": str(output), "model": str(model)}
    return FuseArchiveSettings(**{**gentle, **fields, "precision": "fp32", **changes})


def small_archive(folder: Path) -> FuseArchiveSettings:
    """Write eight pairs, and return settings of a run over them."""
    write_pairs(folder / "in", [f"p{k}" for k in range(8)])
    weights = tiny_weights(folder)
    return settings_for(folder / "in", folder / "out", weights, chunk_pairs=3, max_workers=1)


def as_options(settings: FuseArchiveSettings) -> list[str]:
    """Return settings as the command line takes them."""
    changes = settings.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    words = []
    for name, value in changes.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            words += [f"--{option}", str(value)]
    return words


def score_settings_for(
    source: Path | str, output: Path | str, *methods: str, **changes: Any
) -> ScoreArchiveSettings:
    """Return settings that score what ``write_fused`` wrote; ``changes`` are more fields."""
    gentle: dict[str, Any] = {"worker": "cpu:1", "max_workers": 1, "io_threads": 2}
    fused = {method: f"fused_{method}/{{pair}}.png" for method in methods}
    fields = {"source": str(source), "output": str(output), "fused": fused}
    return ScoreArchiveSettings(**{**gentle, **fields, **changes})


def empty_memory_store() -> None:
    """Forget everything below memory://, which all tests of a process share."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]


def train_settings_for(source: Path | str, output: Path | str, **changes: Any) -> TrainSettings:
    """Return settings of a training of ``TINY`` for 8 steps; ``changes`` are more fields."""
    fields: dict[str, Any] = {"source": str(source), "output": str(output), "network": TINY}
    short = {"batch": 2, "crop": 24, "warmup": 2, "checkpoint_every": 2, "validate_every": 4}
    gentle = {"precision": "fp32", "worker": "cpu:1", "io_threads": 2}
    length = {} if "epochs" in changes else {"steps": 8}
    return TrainSettings(**{**length, **short, **gentle, **fields, **changes})


def timeless(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return a training's records without what the clock put into them."""
    clock = {"seconds", "steps_per_second"}
    return [{k: v for k, v in record.items() if k not in clock} for record in records]
