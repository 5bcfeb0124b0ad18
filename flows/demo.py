"""The demo: generates a small archive and fuses it by the real flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows.starting import FUSING, start
from flows.summaries.demo import DemoSummary
from fusion_core.archive import MANIFEST_FOLDER, RUN_SCHEMA, RunRows, read_manifest, spill
from fusion_core.demo import write_archive
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import scratch_folder


def run_demo(folder: str, pairs: int, seed: int) -> DemoSummary:
    """Generate an archive of road scenes below ``folder``, fuse it, and say where to look.

    Args:
        folder: Local folder; ``source`` and ``output`` are made in it.
        pairs: Number of pairs of 640x480.
        seed: Seed of the scenes.
    """
    top = Path(folder).resolve()
    source, output = top / "source", top / "output"
    write_archive(str(source), pairs=pairs, seed=seed)
    settings = FuseArchiveSettings(
        source=str(source), output=str(output), chunk_pairs=4, contact_sheet=8
    )
    summary = start(settings, _flow, preloaded=FUSING)
    sheets = sorted((output / "runs").glob("*/contact_sheet.png"))
    manifest = str(output / MANIFEST_FOLDER)
    rows = read_manifest(manifest, filters=[("status", "=", "ok")])
    with scratch_folder() as scratch:
        metrics = RunRows(spill(scratch, RUN_SCHEMA, [rows]), scratch).metric_statistics()
    return DemoSummary(
        said=summary.sentence(),
        archive=str(source),
        fused=str(output / "fused"),
        contact_sheet=str(sheets[-1]) if sheets else None,
        manifest=manifest,
        pairs=len(rows),
        metrics=metrics,
    )


def _flow() -> Any:
    from flows.fuse_archive import fuse_archive

    return fuse_archive
