"""Draws the README's picture: a few pairs of the demonstration, and what is made of them.

    python infra/demo_picture.py

writes infra/demo.png. The pairs are the first that ``make demo`` generates, one for each kind of
light and air. Network, metrics and contact sheet are those of a run, without Ray and Prefect; in
fp32 and on one thread, so that the same versions of the libraries draw the same bytes.
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from fusion_core import fuse, score
from fusion_core.demo.archive import write_archive
from fusion_core.reports.contact_sheet import SheetRow, draw_contact_sheet

PICTURE = Path(__file__).resolve().with_name("demo.png")
PAIRS = 4
WIDTH = 1100
"""Pixels; a page shows no more, and the whole sheet in all its colours takes 1.4 MB."""

COLOURS = 96


def draw() -> bytes:
    """Return the picture as PNG."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        names = write_archive(folder, pairs=PAIRS)
        sheet = draw_contact_sheet([_row(Path(folder), name) for name in names], "fuse-archive")
    height = round(sheet.height * WIDTH / sheet.width)
    small = sheet.resize((WIDTH, height), Image.Resampling.LANCZOS)
    body = io.BytesIO()
    small.quantize(COLOURS, dither=Image.Dither.NONE).save(body, format="PNG", optimize=True)
    return body.getvalue()


def _row(folder: Path, name: str) -> SheetRow:
    ir, vi = (np.asarray(Image.open(folder / side / f"{name}.png")) for side in ("ir", "vi"))
    fused = fuse(ir, vi, device="cpu", precision="fp32")
    return SheetRow(name, ir, vi, fused, score(ir, vi, fused))


if __name__ == "__main__":
    PICTURE.write_bytes(draw())
    print(f"{PICTURE}: {PICTURE.stat().st_size} bytes")
