"""What ``make benchmark`` measures of one checkout, part by part, in a process of its own.

    python tests/benchmarks/parts.py PART [--smoke]

prints a JSON line: seconds by case, one for each round, taken in turns. The checkout is that which
PYTHONPATH names.
"""

from __future__ import annotations

import argparse
import datetime as dt
import inspect
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import large_scene
import numpy as np
import torch
from peak_memory import peak_bytes
from plain_metrics import plain_scores, windowed
from record import alternate

from fusion_core.api import fuse
from fusion_core.archive import Chunk
from fusion_core.archive.plan import PairRef
from fusion_core.demo.archive import make_pair, write_archive
from fusion_core.errors import FuseArchiveError
from fusion_core.images.colour import luminance
from fusion_core.jobs import FusionWorker, RunIdentity
from fusion_core.metrics import score_batch, to_grey255
from fusion_core.models import Fuser, load_fuser
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import Storage

THREADS = 2
FLOWS = {"refinefuse": 10, "refinefuse-mini": 80}
"""The models of flows, and so many pairs take a run about ten seconds more."""
PEAKS_MB: dict[str, int] = {}
"""The most memory that was held, by case, of a part that lets the peak begin anew for each."""
Seconds = dict[str, list[float]]


def engines(*, smoke: bool) -> Seconds:
    """Fuse a pair by each network and engine that there is, at two sizes."""
    sizes = [(64, 64)] if smoke else [(640, 480), (1024, 768)]
    seconds: Seconds = {}
    for width, height in sizes:
        pair = make_pair(1, height, width, "night")
        ir, vi = (torch.from_numpy(luminance(one))[None, None] for one in (pair.ir, pair.vi))
        timed = {
            f"{name}, {width}x{height}": partial(fuser, ir, vi) for name, fuser in _fusers().items()
        }
        seconds |= alternate(timed, 1 if smoke else 3)
    return seconds


def _fusers() -> dict[str, Any]:
    found = {}
    known = "engine" in inspect.signature(load_fuser).parameters
    ways = [("eager", "fp32"), ("openvino", "fp32"), ("openvino", "auto")]
    for model in ("refinefuse", "refinefuse-mini"):
        for engine, precision in ways if known else ways[:1]:
            more: dict[str, Any] = {"engine": engine} if known else {}
            try:
                fuser = load_fuser(model, "cpu", precision, **more)  # type: ignore[arg-type]
            except (FuseArchiveError, ImportError):
                continue  # not in this checkout, or not installed
            found[f"{model}, {engine} {fuser.precision}"] = fuser
    return found


def flow(*, smoke: bool) -> Seconds:
    """Fuse and score pairs by the whole flow, by its worker alone, and by a bare loop of stages."""
    size = (64, 64) if smoke else (480, 640)
    count = 2 if smoke else 4
    seconds: Seconds = {}
    for model, many in FLOWS.items():
        try:
            fuser = load_fuser(model, "cpu")
        except FuseArchiveError:
            continue  # not in this checkout
        with tempfile.TemporaryDirectory() as name:
            write_archive(f"{name}/source", pairs=count, height=size[0], width=size[1], seed=7)
            worker, refs = _worker(Path(name), fuser)
            ways = {
                f"{model}, worker": partial(_by_worker, worker, refs, itertools.count()),
                f"{model}, bare loop": partial(_by_loop, worker, refs),
            }
            found = alternate(ways, 1 if smoke else 2)
        seconds |= {way: [one / count for one in times] for way, times in found.items()}
        if not smoke:
            seconds[f"{model}, flow"] = _more_pairs(many, 2 * many, model=model, size=size)
    return seconds


def scenes(*, smoke: bool) -> Seconds:
    """Fuse a megapixel of a scene, file to file with all metrics, and of an image in memory."""
    side = 256 if smoke else 2000
    seconds: Seconds = {}
    for model in ("refinefuse", "refinefuse-mini"):
        try:
            fuser = load_fuser(model, "cpu")
        except FuseArchiveError:
            continue  # not in this checkout
        with tempfile.TemporaryDirectory() as name:
            done = large_scene.main(Path(name), model, side, THREADS)
        square = min(side, 1024)
        image = torch.rand(1, 1, square, square)
        alone = alternate({"network": lambda one=image, by=fuser: by(one, one)}, 1 if smoke else 3)
        seconds[f"{model}, scene"] = [done["seconds"] * 1e6 / side**2]
        PEAKS_MB[f"{model}, scene"] = round(done["peak_resident_mb"])
        seconds[f"{model}, network"] = [one * 1e6 / square**2 for one in alone["network"]]
    return seconds


def _by_worker(worker: FusionWorker, refs: tuple[PairRef, ...], numbers: Iterator[int]) -> None:
    worker.run(Chunk(f"part{next(numbers)}", refs))


def _by_loop(worker: FusionWorker, refs: tuple[PairRef, ...]) -> None:
    for ref in refs:
        pair = worker._begin(ref)
        worker._load(pair)
        (image,) = worker._fuse([pair], in_tiles=False)
        worker._finish(pair, image)


def _worker(folder: Path, fuser: Fuser) -> tuple[FusionWorker, tuple[PairRef, ...]]:
    settings = FuseArchiveSettings(source=str(folder / "source"), output=str(folder / "out"))
    source, output = Storage(settings.source), Storage(settings.output)
    files = {row["path"]: (row["path"], row["bytes"], row["version"]) for row in _rows(source)}
    refs = tuple(
        PairRef(Path(path).stem, *file, *files[f"vi{path.removeprefix('ir')}"])
        for path, file in files.items()
        if path.startswith("ir/")
    )
    run = RunIdentity("benchmark", dt.date(2026, 11, 28), fuser.model_hash, "0" * 16)
    return FusionWorker(source, output, fuser, settings, run), refs


def _rows(source: Storage) -> list[dict[str, Any]]:
    return source.list().to_pylist()


def metrics(*, smoke: bool) -> Seconds:
    """Score a pair with all seven metrics, and by the plain float64 reference."""
    height, width = (64, 64) if smoke else (480, 640)
    pair = make_pair(1, height, width, "night")
    greys = [to_grey255(image) for image in (pair.ir, pair.vi, fuse(pair.ir, pair.vi))]
    images = [torch.from_numpy(grey)[None, None] for grey in greys]
    floats = [grey.astype(np.float64) for grey in greys]
    return alternate(
        {
            "seven metrics": lambda: score_batch(*images),
            "float64 reference": lambda: plain_scores(*floats, windowed),
        },
        1 if smoke else 5,
    )


def growth(*, smoke: bool) -> Seconds:
    """Run the whole flow over few and many small pairs: seconds for each pair that is one more."""
    few, many = (2, 6) if smoke else (300, 10_000)
    ends = (2 * few, many)
    seconds = _more_pairs(few, *ends, model="mean", size=(64, 64))
    return {f"from {few} to {end} pairs": [one] for end, one in zip(ends, seconds, strict=True)}


def _more_pairs(few: int, *many: int, model: str, size: tuple[int, int]) -> list[float]:
    """Return the seconds of a pair by which runs are longer than a short one."""
    with tempfile.TemporaryDirectory() as name:
        write_archive(f"{name}/one", pairs=1, height=size[0], width=size[1], seed=7)
        seconds = {count: _run(Path(name), count, model) for count in (few, *many)}
    return [(seconds[count] - seconds[few]) / (count - few) for count in many]


def _run(folder: Path, count: int, model: str) -> float:
    """Fuse so many pairs, which are links to one, and return the seconds of the flow."""
    source = folder / f"source-{count}"
    for side in ("ir", "vi"):
        (source / side).mkdir(parents=True)
        (file,) = (folder / "one" / side).iterdir()
        for number in range(count):
            os.link(file, source / side / f"p{number:06}.png")
    out = folder / f"out-{count}"
    arguments = ["--source", str(source), "--output", str(out), "--model", model]
    command = [sys.executable, "-c", "from flows.cli import main; main()", "run", *arguments]
    command += ["--contact-sheet", "0"]
    # Elsewhere, for the folder that it runs in comes before PYTHONPATH.
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    (summary,) = out.glob("runs/*/summary.json")
    return float(json.loads(summary.read_text())["seconds"])


PARTS: dict[str, Callable[..., Seconds]] = {
    part.__name__: part for part in (engines, flow, metrics, scenes, growth)
}


def main() -> None:
    """Measure a part, and print what was found and the most memory that it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    seconds = PARTS[options.part](smoke=options.smoke)
    peaks = PEAKS_MB or {"all cases": peak_bytes() >> 20}
    print(json.dumps({"seconds": seconds, "peaks_mb": peaks}))


if __name__ == "__main__":
    main()
