"""Fuses the cells of a property by a real worker, each file beside one that is nothing special."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import declared_tiff as dt
import declared_writers as dw
import numpy as np
from declared import PLACED, SUFFIXES, Declared, Meaning, NotApplicable, fields, meaning
from declared_table import Key, cell
from tiny import TODAY, listed_pair

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.models.fuser import load_fuser
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

_PLAIN = 3
"""Which of the fields the other file of each pair shows."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell's pair.

    Attributes:
        ir: What its infrared file means.
        vi: What its visible file means.
        row: Its row of the manifest.
        fused: Where its fused image is, if there is one.
    """

    ir: Meaning
    vi: Meaning
    row: dict[str, Any]
    fused: Path | None


def partner(kind: str, container: str) -> Declared:
    """Return the other file of a pair: an 8-bit PNG, or float32 on the grid of placed files."""
    field = fields()[_PLAIN : _PLAIN + 1]
    if kind == "photograph":
        values = np.rint(20 + 210 * field).astype("u1")
        return Declared(dw.png(values, dw.GREY), meaning(values, "png"), ".png")
    place = "geotiff" if container in PLACED else "tiff"
    values = (250 + 60 * field).astype("f4")
    body = dt.tiff(place, dt.page(values, dt.BLACK_IS_ZERO))
    return Declared(body, meaning(values, place), ".tif")


def fuse_cells(cells: Sequence[Key], folder: Path) -> dict[Key, Outcome]:
    """Fuse the pairs of all cells that there is a file for, below an empty folder."""
    pairs: dict[str, tuple[Key, dict[str, Declared]]] = {}
    for number, key in enumerate(cells):
        file = cell(key.name, key.value, key.container)
        if isinstance(file, NotApplicable):
            continue
        other = partner(key.kind, key.container)
        sides = (file, other) if key.side == "infrared" else (other, file)
        pairs[f"c{number:04d}"] = (key, dict(zip(("ir", "vi"), sides, strict=True)))
    for pair_id, (key, files) in pairs.items():
        for side, file in files.items():
            path = _path(pair_id, side, file, key.container)
            (folder / "source" / side).mkdir(parents=True, exist_ok=True)
            (folder / "source" / path).write_bytes(file.body)
    refs = _references(folder / "source", pairs)
    rows = _rows(folder, refs)
    found = {}
    for pair_id, (key, files) in pairs.items():
        row = rows.get(pair_id, {"status": "lost"})
        url = row.get("fused_url")
        path = None if url is None else Path(url.removeprefix("file://"))
        found[key] = Outcome(files["ir"].meaning, files["vi"].meaning, row, path)
    return found


def _path(pair_id: str, side: str, file: Declared, container: str) -> str:
    suffix = SUFFIXES[container] if file.suffix is None else file.suffix
    return f"{side}/{pair_id}{suffix}"


def _references(
    source: Path, pairs: dict[str, tuple[Key, dict[str, Declared]]]
) -> tuple[PairRef, ...]:
    listing = {row["path"]: row for row in Storage(str(source)).list().to_pylist()}
    return tuple(
        listed_pair(
            pair_id,
            *(listing[_path(pair_id, side, files[side], key.container)] for side in ("ir", "vi")),
        )
        for pair_id, (key, files) in pairs.items()
    )


def _rows(folder: Path, refs: tuple[PairRef, ...]) -> dict[str, dict[str, Any]]:
    """Fuse pairs as one chunk, by the mean of both, and return their rows."""
    settings = FuseArchiveSettings(
        source=f"{folder}/source",
        output=f"{folder}/output",
        model="mean",
        precision="fp32",
        io_threads=1,
        stac="none",
        compression="none",
    )
    source, output = Storage(settings.source), Storage(settings.output)
    fuser = load_fuser("mean", device="cpu")
    digest = settings.image_settings().settings_hash()
    run = RunIdentity("declared", TODAY, fuser.model_hash, digest)
    part_id = uuid.uuid4().hex
    FusionWorker(source, output, fuser, settings, run).run(Chunk(part_id, refs))
    table = read_part(output, part_path(TODAY, part_id))
    return {row["pair_id"]: row for row in table.to_pylist()}
