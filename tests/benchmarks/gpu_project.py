"""What the project does with the card: memory, the worker's pipeline, trainings, marked tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_card import Scale, attempt, card_time, milliseconds
from gpu_network import loaded, pairs
from record import spread
from tiny import TODAY

from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, cut_chunks
from fusion_core.archive.schema import STAGES
from fusion_core.demo.archive import write_archive
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_pairs
from fusion_core.models.fuser import load_fuser
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage
from fusion_core.training.data import CropSource
from fusion_core.training.job import Reporter, WorkerRank
from fusion_core.training.plan import plan_training
from fusion_core.training.run import run_training
from fusion_core.training.settings import TrainSettings
from fusion_core.training.trainer import Trainer

TESTS = Path(__file__).resolve().parents[1]
TIMED = 0.85  # share of the chunks that are timed; one before warms up, those after are watched


def memory(scale: Scale) -> dict[str, Any]:
    """Take the peak of the card's memory while one pair is fused, by precision and size."""
    return {
        precision: attempt(lambda precision=precision: _memory(scale, precision))
        for precision in ("fp32", *scale.precisions)
    }


def _memory(scale: Scale, precision: str) -> dict[str, Any]:
    if not scale.device.startswith("cuda"):
        raise RuntimeError("only a CUDA card says what is allocated on it")
    _, fuser = loaded(scale.device, precision)
    peaks: dict[int, int] = {}
    for side in scale.sides:
        ir, vi = torch.rand(2, 1, 1, side, side, device=scale.device)
        fuser(ir, vi)  # so that no library makes itself at home in what is measured
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        fuser(ir, vi)
        peaks[side * side] = torch.cuda.max_memory_allocated() - before
    return {"mib_by_side": {s: round(peaks[s * s] / 2**20, 1) for s in scale.sides}, **line(peaks)}


def line(peaks: dict[int, int]) -> dict[str, float]:
    """Fit bytes that grow with the pixels."""
    pixels, found = np.array(list(peaks), float), np.array(list(peaks.values()), float)
    slope, start = np.polyfit(pixels, found, 1)
    off = np.abs(slope * pixels + start - found) / found
    return {
        "bytes_a_pixel": round(float(slope), 1),
        "mib_at_none": round(float(start) / 2**20, 1),
        "largest_misfit": round(float(off.max()), 4),
    }


def write_pairs(scale: Scale, source: Path) -> dict[str, int]:
    """Write an archive of generated pairs; each distinct one is in it several times."""
    width, height = scale.sizes[0]
    names = write_archive(str(source), scale.distinct, height=height, width=width)
    for name in names:
        for side in ("ir", "vi"):
            file = source / side / f"{name}.png"
            for copy in range(1, scale.copies):
                shutil.copyfile(file, file.with_stem(f"{name}_{copy}"))
    return {"distinct": scale.distinct, "pairs": scale.distinct * scale.copies}


def pipeline(scale: Scale, folder: Path, source: Path) -> dict[str, Any]:
    """Let a worker fuse an archive chunk by chunk, as its actor does, and say where time goes."""
    torch.set_num_threads(scale.threads)
    settings = FuseArchiveSettings(
        source=str(source), output=str(folder / "fused"), chunk_pairs=scale.chunk_pairs
    )
    fuser = load_fuser(settings.model, scale.device, settings.precision)
    places = Storage(settings.source), Storage(settings.output)
    settings_hash = settings.image_settings().settings_hash()
    identity = RunIdentity("benchmark", TODAY, fuser.model_hash, settings_hash)
    worker = FusionWorker(*places, fuser, settings, identity)
    todo = list_pairs(settings, *places, TODAY, {}).pairs
    chunks = list(cut_chunks(todo, "benchmark", settings.chunk_pairs))
    timed = max(1, int(TIMED * (len(chunks) - 1)))
    worker.run(chunks[0])
    begin = time.perf_counter()
    results = [worker.run(chunk) for chunk in chunks[1 : 1 + timed]]
    seconds = time.perf_counter() - begin
    rows = [row for each in results for row in read_part(places[1], each.parts[0]).to_pylist()]
    if bad := next((row["error_message"] for row in rows if row["status"] != "ok"), None):
        raise RuntimeError(f"a pair failed: {bad}")
    batch = worker.photographs.batch_size
    ir, vi = (side.to(scale.device) for side in pairs(scale.sizes[0], batch))
    alone = statistics.median(milliseconds(lambda: fuser(ir, vi), scale.device, scale.rounds))
    per_pair, alone_per_pair = 1e3 * seconds / len(rows), alone / batch
    watched = chunks[1 + timed :]
    return {
        "pairs": len(rows),
        "batch": batch,
        "chunk_pairs": settings.chunk_pairs,
        "io_threads": settings.io_threads,
        "precision": fuser.precision,
        "pairs_per_second": round(1e3 / per_pair, 2),
        "ms_a_pair": round(per_pair, 3),
        "network_ms_a_pair": round(alone_per_pair, 3),
        "network_pairs_per_second": round(1e3 / alone_per_pair, 2),
        "share_of_network": round(alone_per_pair / per_pair, 4),
        "thread_ms_a_pair_by_stage": {
            stage: round(1e3 * statistics.fmean(row[f"seconds_{stage}"] for row in rows), 3)
            for stage in STAGES
        },
        "card": attempt(lambda: _on_card(worker, watched, per_pair, scale.device)),
    }


def _on_card(
    worker: FusionWorker, chunks: list[Chunk], ms_a_pair: float, device: str
) -> dict[str, Any]:
    """Say what share of its time the card is busy, from chunks that are watched."""
    found = card_time(lambda: [worker.run(chunk) for chunk in chunks], device)
    count = sum(len(chunk.pairs) for chunk in chunks)
    return {
        "watched_pairs": count,
        "busy_share": round(found["busy_ms"] / count / ms_a_pair, 4),
        "kernel_share": round(found["kernels_ms"] / count / ms_a_pair, 4),
        "longest_ms_a_pair": {k: round(v / count, 4) for k, v in found["longest_ms"].items()},
    }


def training(scale: Scale, folder: Path, source: Path) -> dict[str, Any]:
    """Train by the default recipe in one process, then time a step and its crops by themselves."""
    torch.set_num_threads(scale.threads)
    settings = TrainSettings(
        source=str(source), output=str(folder / "trained"), steps=scale.steps, **scale.recipe
    )
    reporter = Reporter(options=dict, report=lambda event: None)
    run_training(plan_training(settings, {})[0], WorkerRank(device=scale.device), reporter)
    records = json.loads((folder / "trained" / "log.json").read_text())["records"]
    recipe = settings.recipe()
    luminances = ((255 * side[:, 0]).round().byte().numpy() for side in pairs(scale.sizes[0], 4))
    crops = CropSource(list(zip(*luminances, strict=True)), recipe.crop, recipe.loss)
    batch = crops.random_batch(recipe.batch, recipe.seed, 0)
    trainer = Trainer(recipe, scale.steps, device=scale.device)
    cutting = milliseconds(lambda: crops.random_batch(recipe.batch, 0, 1), "cpu", scale.rounds)
    stepping = milliseconds(lambda: trainer.advance(batch), scale.device, scale.rounds)
    return {
        "recipe": {name: getattr(recipe, name) for name in ("batch", "crop", "precision", "steps")},
        # The first record's steps set libraries up.
        "steps_per_second": [record["steps_per_second"] for record in records[1:]],
        "loss_first_and_last": [round(records[k]["loss"], 4) for k in (0, -1)],
        "ms_a_step_alone": spread(stepping, 3),
        "ms_to_cut_its_crops": spread(cutting, 3),
    }


def marked_tests(folder: Path) -> dict[str, Any]:
    """Run the tests that need an accelerator, and count what became of them."""
    files = [
        str(path)
        for path in sorted(TESTS.rglob("test_*.py"))
        if re.search(r"^(@|pytestmark.*)pytest\.mark\.gpu\b", path.read_text(), re.MULTILINE)
    ]
    report = folder / "tests.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", f"--junitxml={report}", *files]
    if find_spec("ray") is None:
        command.append("--noconftest")  # the fixtures need Ray, these tests don't need the fixtures
    paths = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    if not report.exists():
        raise RuntimeError(f"pytest ended with {done.returncode}: {done.stdout[-300:]!r}")
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    count = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    names = [f"{case.get('classname')}.{case.get('name')}" for case in suite.iter("testcase")]
    return {**count, "passed": count["tests"] - sum(list(count.values())[1:]), "names": names}
