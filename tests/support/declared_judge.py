"""Judges what became of a cell by what its files mean."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import rasterio
from declared import Meaning, NotApplicable, Values
from declared_refusals import rule_of
from declared_run import Outcome
from declared_table import Key, cell
from generated_scenes import PLACE, UTM
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import ColorInterp

RIGHT, REFUSED, NOT_APPLICABLE, WRONG = "right", "refused", "not applicable", "wrong"
_FLOAT32 = 3e-7  # share of a range that is lost in single precision
_SIDES = ("ir", "vi")
_FILE = re.compile(r"\b(ir|vi)/c\d+(\.\w+)?")


@dataclass(frozen=True)
class Verdict:
    """The state of a cell, and the reason of every state but ``right``."""

    state: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.state}: {self.reason}" if self.reason else self.state


def judge(key: Key, outcome: Outcome | None) -> Verdict:
    """Judge a cell by what became of its pair; None where there is no file for it."""
    if outcome is None:
        file = cell(key.name, key.value, key.container)
        assert isinstance(file, NotApplicable)
        return Verdict(NOT_APPLICABLE, file.reason)
    rule, row = rule_of(key), outcome.row
    if row["status"] != "ok":
        return _refusal(key, row)
    if rule is not None and rule.must:
        return Verdict(WRONG, f"fused, and must be refused: {rule.why}")
    problem = next((text for text in _problems(key, outcome) if text), None)
    return Verdict(RIGHT) if problem is None else Verdict(WRONG, problem)


def _refusal(key: Key, row: dict[str, Any]) -> Verdict:
    rule = rule_of(key)
    how = tuple(row.get(name) for name in ("status", "cause", "stage"))
    said = _FILE.sub("the file", f"{row.get('error_message')}").removeprefix("the file: ")
    if rule is None:
        return Verdict(WRONG, f"refused at {row.get('stage')}: {said}")
    if how[:2] != ("failed", "pair") or how[2] not in ("read", "decode"):
        return Verdict(WRONG, f"refused as {how}: {said}")
    if not rule.matches(said):
        return Verdict(WRONG, f"refused without naming {rule.says!r}: {said}")
    return Verdict(REFUSED, said)


def _problems(key: Key, outcome: Outcome) -> Iterable[str | None]:
    """Yield what is wrong with a fused image, the first cause first."""
    ir, vi, row = outcome.ir, outcome.vi, outcome.row
    scene = row["fused_format"] == "cog"
    sure = True in (ir.scene, vi.scene)
    if scene != sure and not (scene and None in (ir.scene, vi.scene)):
        yield f"fused as {row['fused_format']}; expected a {'scene' if sure else 'photograph'}"
    scalings = {}
    for side, means in zip(_SIDES, (ir, vi), strict=True):
        low, high = row[f"{side}_low"], row[f"{side}_high"]
        scalings[side] = means.limits if low is None else (low, high)
        yield None if low is None else _scaling_problem(side, means, (low, high))
    with rasterio.open(outcome.fused) as dataset:
        bands, alpha = _bands(dataset)
        holds = (dataset.dataset_mask() > 0) & np.isfinite(bands).all(axis=0)
        placed = (str(dataset.crs), dataset.transform) == (UTM, PLACE)
        yield None if placed == vi.placed else f"the fused scene lies at {dataset.transform}"
    yield _value_problem(outcome, bands, scalings["ir"], scalings["vi"])
    yield _alpha_problem(vi, alpha, masked=scene)
    if scene and (holds != vi.valid).any():
        yield f"{int((holds != vi.valid).sum())} pixels are data or none by mistake"
    if key.side == "visible" and vi.icc is not None and not scene:
        with Image.open(outcome.fused) as image:
            kept = image.info.get("icc_profile") == vi.icc
        yield None if kept else "the colour profile is lost"


def _scaling_problem(side: str, means: Meaning, found: tuple[float, float]) -> str | None:
    """Say what is wrong with a scaling: neither the container's range nor that of its values."""
    whole = means.values.dtype.kind != "f" and not means.narrow
    if whole and np.allclose(found, means.limits, rtol=1e-9):
        return None
    used = np.percentile(means.luminance()[means.valid], (0.5, 99.5))
    slack = (means.tolerance + 1e-5) * means.span + 1e-5 * (used[1] - used[0])
    if means.values.dtype != np.uint8 and np.abs(np.subtract(found, used)).max() <= slack:
        return None
    return f"{side} is scaled by {found}; expected {means.limits} or {used.round(2).tolist()}"


def _bands(dataset: Any) -> tuple[Values, NDArray[np.float64] | None]:
    """Return the bands with values of a fused image, and its alpha in [0, 1]."""
    every = dataset.read()
    where = [k for k, c in enumerate(dataset.colorinterp) if c == ColorInterp.alpha]
    bands = np.delete(every, where, axis=0)
    if dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
        info = np.iinfo(bands.dtype)
        bands = (info.max + info.min - bands.astype(np.int64)).astype(bands.dtype)
    if not where:
        return bands, None
    return bands, every[where[0]] / np.iinfo(every.dtype).max


def _value_problem(
    outcome: Outcome,
    found: Values,
    ir_scaling: tuple[float, float],
    vi_scaling: tuple[float, float],
) -> str | None:
    ir, vi = outcome.ir, outcome.vi
    if found.shape != vi.values.shape or found.dtype != vi.values.dtype:
        return (
            f"fused are {found.shape} of {found.dtype}; expected {vi.values.shape} of "
            f"{vi.values.dtype}"
        )
    both = ir.valid & vi.valid
    expected = _expected(ir, vi, ir_scaling, vi_scaling)
    wide = vi_scaling[1] - vi_scaling[0]
    missed = ir.tolerance * ir.span / (ir_scaling[1] - ir_scaling[0]) * wide / 2
    slack = 1.5 * vi.tolerance * vi.span + missed + _FLOAT32 * 4 * wide
    slack += (
        1.01 if found.dtype.kind in "ui" else _FLOAT32 * float(np.abs(vi.values[:, both]).max())
    )
    problem = _difference(found, expected, both, slack)
    if problem is not None:
        return problem
    alone = vi.valid & ~ir.valid
    exact = _difference(found, vi.values, alone, vi.tolerance * vi.span)
    return None if exact is None else f"where infrared is absent, {exact}"


def _difference(
    found: Values, expected: Values, where: NDArray[np.bool_], slack: float
) -> str | None:
    away = np.abs(found.astype(np.float64) - expected)[:, where]
    off = away > slack
    if not off.any():
        return None
    band, pixel = np.argwhere(off)[0]
    got, wanted = found[:, where][band, pixel], np.asarray(expected)[:, where][band, pixel]
    return (
        f"{off.mean():.0%} of the values are off by up to {away.max():.6g}; the first is {got} and "
        f"expected {wanted:.6g} within {slack:.3g}"
    )


def _expected(
    ir: Meaning, vi: Meaning, ir_scaling: tuple[float, float], vi_scaling: tuple[float, float]
) -> NDArray[np.float64]:
    """Return the mean of both luminances, put into the visible image's bands."""
    units = [
        np.clip((means.luminance() - low) / (high - low), 0, 1)
        for means, (low, high) in ((ir, ir_scaling), (vi, vi_scaling))
    ]
    old, values = vi.luminance(), vi.values.astype(np.float64)
    change = (sum(units) / 2 - units[1]) * (vi_scaling[1] - vi_scaling[0])
    result = values + change
    if len(values) not in (1, 3):
        positive = (old > 0) & (old + change > 0)
        ratio = np.divide(old + change, old, out=np.ones_like(old), where=positive)
        result = np.where(positive, values * ratio, result)
    if vi.values.dtype.kind != "f":
        info = np.iinfo(vi.values.dtype)
        result = np.clip(result, info.min, info.max)
    return np.asarray(result)


def _alpha_problem(vi: Meaning, alpha: NDArray[np.float64] | None, *, masked: bool) -> str | None:
    """Say what is wrong with the opacity of a fused image.

    Args:
        vi: What the visible file means.
        alpha: The fused image's opacity, if it has any.
        masked: Whether a mask may stand for opacity that is all or nothing.
    """
    wanted = vi.valid.astype(np.float64) if vi.opacity is None else vi.opacity
    if alpha is None:
        said = masked and np.isin(wanted, (0, 1)).all()
        return None if said or (wanted == 1).all() else "the opacity is lost"
    away = float(np.abs(alpha - wanted).max())
    return None if away < 0.003 else f"the opacity is off by up to {away:.3g}"
