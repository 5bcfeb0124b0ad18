"""What the packaged weights are worth: seven means by data set, a detector's AP, skies and black.

    sh infra/loopback.sh python tests/benchmarks/bench_weights.py [--model NAME=URL …]

writes results/weights.json: the methods below and those named, over all pairs of the sample data,
and YOLOX-nano over the labelled ones by ``fuse-archive detect``. What a network was trained on says
nothing of it: of RoadScene the validation pairs are scored, of clips frames between those that were
trained on. The labelled pairs of RoadScene were trained on but for nine, except by
refinefuse-open.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from brightness_measures import brightness
from detection_nights import detected
from hand_made import SHARES, around_hot
from numpy.typing import NDArray
from PIL import Image
from record import write
from weight_sets import Pair, pair_sets

from fusion_core import fuse, score
from fusion_core.metrics import METRIC_NAMES
from fusion_core.models import model_hash_of
from fusion_core.models.names import PACKAGED_NAMES

DATA = Path(__file__).resolve().parents[3] / "shared/data"
COMMAND = "sh infra/loopback.sh python tests/benchmarks/bench_weights.py"
METHODS = ("mean", "maximum", "laplacian", *PACKAGED_NAMES)
Fusing = Callable[[Pair], NDArray[np.uint8]]
LABELLED = ("msrs_labelled", "roadscene_labelled")
DIGITS = 4


def main() -> None:
    """Measure and write the record."""
    options = argparse.ArgumentParser(description="Measure weights on the sample data.")
    options.add_argument("--model", action="append", default=[], metavar="NAME=URL")
    options.add_argument("--data", type=Path, default=DATA)
    asked = options.parse_args()
    if not asked.data.is_dir():
        raise SystemExit(f"{asked.data} is absent; expected the sample data")
    models = {name: name for name in METHODS} | dict(one.split("=", 1) for one in asked.model)
    methods = {name: partial(by_model, model=url) for name, url in models.items()}
    methods |= {name: partial(around_hot, share=share) for name, share in SHARES.items()}
    sets = pair_sets(asked.data)
    with tempfile.TemporaryDirectory() as name:
        fused = Path(name)
        found: dict[str, Any] = {
            "sha256": {name: model_hash_of(name) for name in PACKAGED_NAMES},
            "means": {},
            "brightness": {},
        }
        for method, fusing in methods.items():
            means, measures = {}, []
            for part, pairs in sets.items():
                means[part], images = of_set(pairs, fusing, fused / method / part)
                measures += images
            found["means"][method], found["brightness"][method] = means, brightness(measures)
            print(method, json.dumps(means), found["brightness"][method], flush=True)
        found["detection"] = {
            part: detected(asked.data, part, {m: fused / m / part for m in methods}, fused / part)
            for part in LABELLED
        }
    print(write("weights", " ".join((COMMAND, *(f"--model {one}" for one in asked.model))), found))


def by_model(pair: Pair, model: str) -> NDArray[np.uint8]:
    """Fuse a pair by a model."""
    return np.asarray(fuse(pair.ir, pair.vi, model=model))


def of_set(pairs: list[Pair], fusing: Fusing, folder: Path) -> tuple[dict[str, Any], list[Any]]:
    """Fuse a set into a folder; return its means, and what is measured of brightness."""
    folder.mkdir(parents=True)
    scores, measures = [], []
    for pair in pairs:
        fused = fusing(pair)
        Image.fromarray(fused).save(folder / f"{pair.name}.png")
        scores.append(score(pair.ir, pair.vi, fused))
        measures.append((pair, fused))
    means = {
        metric: round(float(np.mean([s[metric] for s in scores])), DIGITS)
        for metric in METRIC_NAMES
    }
    return {"pairs": len(pairs)} | means, measures


if __name__ == "__main__":
    main()
