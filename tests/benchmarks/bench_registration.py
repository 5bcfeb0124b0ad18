"""How well misalignment is found and mended, on real pairs whose truth is known.

    python tests/benchmarks/bench_registration.py [--data FOLDER] [--seed 2026] [--sheet PNG]

writes results/registration.json: true and estimated shift by pair, false alarms by set, errors
before and after aligning, other ways to align, milliseconds a pair, and the seven metrics.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image
from record import write
from registration_truth import Case, aligned, displaced, moved, unrelated
from registration_ways import ways

from fusion_core.metrics import METRIC_NAMES
from fusion_core.metrics.columns import score_columns
from fusion_core.metrics.greyscale import unit_to_grey255
from fusion_core.models.fuser import load_fuser
from fusion_core.registration.align import Transform, estimate
from fusion_core.registration.check import Shift, estimate_shift, limit_for
from fusion_core.registration.ecc import Model
from fusion_core.registration.warp import warped

UNRELATED = 200
COMPARED = 60
"""Pairs of each kind on which other ways are tried."""


def main() -> None:
    """Measure and write the record."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared/data")
    options.add_argument("--seed", type=int, default=2026)
    options.add_argument("--sheet", type=Path)
    given = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rng = np.random.default_rng(given.seed)
    straight, bent = list(aligned(given.data)), list(displaced(given.data))
    shifts = [moved(case, "shift", rng) for case in straight]
    turns = [moved(case, "similarity", rng) for case in straight]
    others = list(unrelated(straight, UNRELATED, rng))
    results = {
        "seed": given.seed,
        "unit": "pixels and milliseconds, on one core",
        "check": check([*straight, *bent, *shifts, *turns, *others]),
        "aligning": {
            "shifts, by translation": align(shifts, "translation"),
            "shifts, by affine": align(shifts, "affine"),
            "shifts with turn and scale, by affine": align(turns, "affine"),
            "shifts with turn and scale, by homography": align(turns, "homography"),
            "displaced and bent, by affine": align(bent, "affine"),
            "displaced and bent, by homography": align(bent, "homography"),
            "aligned, by affine": align(straight, "affine"),
        },
        "ways": compare(shifts, turns, bent),
        "metrics": metrics(bent, given.sheet),
    }
    command = f"python tests/benchmarks/bench_registration.py --seed {given.seed}"
    print(write("registration", command, results))


def check(cases: Sequence[Case]) -> dict[str, Any]:
    """Estimate all shifts; say what came of it by set, by distance, and by displaced pair."""
    found, seconds = [], []
    for case in cases:
        begin = time.perf_counter()
        found.append(estimate_shift(case.ir, case.vi))
        seconds.append(time.perf_counter() - begin)
    both = list(zip(cases, found, strict=True))
    verdicts = {
        kind: _verdicts(each for each in both if each[0].kind == kind)
        for kind in ("aligned", "displaced", "unrelated")
    }
    by_set = {
        group: _verdicts(each for each in both if _is(each[0], "aligned", group))
        for group in dict.fromkeys(case.group for case in cases if case.kind == "aligned")
    }
    by_distance = {}
    for kind in ("shift", "similarity"):
        for low, high in ((3, 5), (5, 8), (8, 12), (12, 20), (20, 100)):
            some = [each for each in both if each[0].kind == kind and low <= each[0].off < high]
            by_distance[f"{kind}, {low} to {high}"] = _verdicts(some)
    return {
        "milliseconds": round(1e3 * float(np.median(seconds)), 1),
        "verdicts": verdicts,
        "aligned_by_set": by_set,
        "off_by_distance": by_distance,
        "aligned_offset_found": {
            group: round(
                float(np.median([s.offset for c, s in both if _is(c, "aligned", group)])), 1
            )
            for group in by_set
        },
        "displaced_pairs": [_told(case, shift) for case, shift in both if case.kind == "displaced"],
        "false_alarms": [
            _told(case, shift)
            for case, shift in both
            if case.kind == "aligned" and _verdict(case, shift) == "shifted"
        ],
    }


def align(cases: Sequence[Case], model: Model) -> dict[str, Any]:
    """Align as a run does: what is found off is mended where that is sure."""
    before, after, corrected, seconds = [], [], 0, []
    groups: dict[str, list[float]] = {}
    for case in cases:
        begin = time.perf_counter()
        transform = _as_a_run(case, model)
        before.append(case.off)
        after.append(case.off)
        if transform is not None:
            seconds.append(time.perf_counter() - begin)
            corrected += 1
            after[-1] = case.error(transform.matrix)
            groups.setdefault(case.group, []).append(after[-1])
    mended = [value for values in groups.values() for value in values]
    worse = [late - early for early, late in zip(before, after, strict=True)]
    return {
        "pairs": len(cases),
        "corrected": corrected,
        "milliseconds": round(1e3 * float(np.median(seconds)), 1) if seconds else None,
        "error_before": _spread(before),
        "error_of_corrected": _spread(mended),
        "error_of_corrected_by_set": {name: _spread(values) for name, values in groups.items()},
        "error_after": _spread(after),
        "worse_by_more_than_a_pixel": sum(value > 1 for value in worse),
        "worst_change": round(max(worse), 2),
    }


def compare(*kinds: Sequence[Case]) -> dict[str, Any]:
    """Go all ways from the same start on some pairs of each kind, sure ones alone."""
    found: dict[str, Any] = {}
    for cases in kinds:
        some = list(cases)[:: max(1, len(cases) // COMPARED)]
        starts = [estimate_shift(case.ir, case.vi) for case in some]
        sure = [each for each in zip(some, starts, strict=True) if each[1].sure]
        for name, way in ways().items():
            errors, seconds, failed = [], [], 0
            for case, shift in sure:
                begin = time.perf_counter()
                matrix = way(case.ir, case.vi, shift.matrix(*case.vi.shape))
                seconds.append(time.perf_counter() - begin)
                failed += matrix is None
                if matrix is not None:
                    errors.append(case.error(matrix))
            found.setdefault(cases[0].kind, {})[name] = {
                "pairs": len(sure),
                "failed": failed,
                "error": _spread(errors),
                "milliseconds": round(1e3 * float(np.median(seconds)), 1),
            }
    return found


def metrics(cases: Sequence[Case], sheet: Path | None) -> dict[str, Any]:
    """Fuse displaced pairs as they are, aligned, and as they should be; score all by the truth.

    Scored against the visible picture and the infrared one where it should be, over the pixels
    that the aligned infrared picture covers.
    """
    fuser = load_fuser("refinefuse-mini", "cpu", "fp32")
    means: dict[str, list[list[float]]] = {}
    rows = []
    for case in cases:
        transform = _as_a_run(case, "affine")
        assert case.straight is not None
        mended, inside = case.ir, np.ones(case.ir.shape, np.bool_)
        if transform is not None:
            mended, inside = warped(case.ir, transform.matrix)
        states = {"as it is": case.ir, "aligned": mended, "as it should be": case.straight}
        shown = [case.vi]
        for name, ir in states.items():
            pair = (
                torch.from_numpy(np.ascontiguousarray(one))[None, None] for one in (ir, case.vi)
            )
            fused = np.where(inside, fuser(*pair)[0, 0].numpy(), case.vi)
            shown.append(fused)
            greys = (unit_to_grey255(one) for one in (case.straight, case.vi, fused))
            scores = score_columns(*greys, "cpu", valid=inside)
            means.setdefault(name, []).append([scores[each] for each in METRIC_NAMES])
        rows.append(shown)
    if sheet is not None:
        _draw(rows[::2], sheet)
    return {
        name: dict(zip(METRIC_NAMES, np.mean(values, axis=0).round(4).tolist(), strict=True))
        for name, values in means.items()
    }


def _as_a_run(case: Case, model: Model) -> Transform | None:
    limit = limit_for(*case.vi.shape)
    if estimate_shift(case.ir, case.vi).verdict(limit) != "shifted":
        return None
    found = estimate(case.ir, case.vi, model)
    return found if found.sure else None


def _verdict(case: Case, shift: Shift) -> str:
    return shift.verdict(limit_for(*case.vi.shape))


def _is(case: Case, kind: str, group: str) -> bool:
    return case.kind == kind and case.group == group


def _verdicts(both: Iterable[tuple[Case, Shift]]) -> dict[str, int]:
    counts = Counter(_verdict(case, shift) for case, shift in both)
    return {name: counts[name] for name in ("aligned", "shifted", "unsure")}


def _told(case: Case, shift: Shift) -> dict[str, Any]:
    x, y = case.truth.reshape(-1, 2).mean(axis=0)
    values = {
        **{"true_x": x, "true_y": y, "true_mean_distance": case.off},
        **{"shift_x": shift.x, "shift_y": shift.y, "turn_degrees": np.rad2deg(shift.turn)},
        **{"offset": shift.offset, "error": case.error(shift.matrix(*case.vi.shape))},
    }
    rounded = {name: round(float(value), 1) for name, value in values.items()}
    told = {"score": round(shift.score, 2), "verdict": _verdict(case, shift)}
    return {"pair": case.name, **rounded, **told}


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    median, high = np.quantile(values, (0.5, 0.9))
    found = {"median": median, "nine_tenths": high, "maximum": max(values)}
    return {name: round(float(value), 2) for name, value in found.items()}


def _draw(rows: Sequence[Sequence[np.ndarray]], path: Path) -> None:
    """Draw a sheet: visible picture, fused as it is, fused aligned, fused as it should be."""
    width, height = 400, 300
    canvas = Image.new("L", (4 * width, len(rows) * height))
    for row, planes in enumerate(rows):
        for column, plane in enumerate(planes):
            one = Image.fromarray(np.rint(255 * plane.clip(0, 1)).astype(np.uint8))
            canvas.paste(one.resize((width, height)), (column * width, row * height))
    canvas.save(path)


if __name__ == "__main__":
    main()
