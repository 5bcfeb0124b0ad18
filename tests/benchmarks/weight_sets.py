"""The pairs of the sample data that weights are measured on, by set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

VALIDATION = (
    Path(__file__).resolve().parents[2] / "fusion_core/models/weights/roadscene_validation.txt"
)
EVERY, FIRST = 50, 25  # frames of a clip; every tenth is trained on
MODALITIES = ("CT", "PET", "SPECT")


@dataclass(frozen=True)
class Pair:
    """A pair of the sample data.

    Attributes:
        name: Its name, without folder and suffix.
        ir: Infrared, (H, W), uint8; of medical pairs the MRI slice.
        vi: Visible image, (H, W) or (H, W, 3), uint8; of medical pairs the other slice.
    """

    name: str
    ir: NDArray[np.uint8]
    vi: NDArray[np.uint8]


def pair_sets(data: Path) -> dict[str, list[Pair]]:
    """Return the pairs by the name of their set."""
    validation, road = VALIDATION.read_text().split(), data / "roadscene"
    sets = {
        "tno": _folder(data / "tno/ir", data / "tno/vi"),
        "msrs": _folder(data / "msrs/ir", data / "msrs/vi"),
        "msrs_labelled": _folder(data / "detection/msrs/ir", data / "detection/msrs/vi"),
        "roadscene_validation": _folder(road / "ir", road / "vi", validation),
        "roadscene_labelled": _folder(
            data / "roadscene/ir", data / "roadscene/vi", _labelled(data)
        ),
        "clips": _frames(data / "video"),
    }
    for kind in MODALITIES:
        slices = data / f"medical/{kind}-MRI"
        sets[f"mri_{kind.lower()}"] = _folder(slices / "MRI", slices / kind)
    return {name: list(pairs) for name, pairs in sets.items()}


def _folder(ir: Path, vi: Path, names: Iterable[str] | None = None) -> Iterator[Pair]:
    wanted = None if names is None else set(names)
    for path in sorted(ir.iterdir()):
        if wanted is None or path.stem in wanted:
            yield Pair(path.stem, _pixels(path, "L"), _pixels(vi / path.name, None))


def _labelled(data: Path) -> list[str]:
    labels = json.loads((data / "detection/roadscene_coco.json").read_text())
    return [Path(image["file_name"]).stem for image in labels["images"]]


def _pixels(path: Path, mode: str | None) -> NDArray[np.uint8]:
    image = Image.open(path)
    return np.asarray(image.convert(mode or ("L" if image.mode == "L" else "RGB")))


def _frames(clips: Path) -> Iterator[Pair]:
    for path in sorted((clips / "ir").glob("*.mp4")):
        sides = zip(_every(path, "L"), _every(clips / "vi" / path.name, "RGB"), strict=True)
        for number, (ir, vi) in enumerate(sides):
            yield Pair(f"{path.stem}_{FIRST + number * EVERY:04d}", ir, vi)


def _every(path: Path, mode: str) -> Iterator[Any]:
    with av.open(str(path)) as clip:
        for number, frame in enumerate(clip.decode(video=0)):
            if number % EVERY == FIRST:
                yield np.asarray(frame.to_image().convert(mode))
