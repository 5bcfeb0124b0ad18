"""The demo: generates a small archive and fuses it by the real flow."""

from __future__ import annotations

from pathlib import Path

from flows.fuse_archive import fuse_archive
from flows.summaries.run import RunSummary, metric_table
from fusion_core.archive import RUN_SCHEMA, RunRows, read_manifest, spill
from fusion_core.demo import write_archive
from fusion_core.settings import FuseArchiveSettings
from fusion_core.storage import scratch_folder


def run_demo(folder: str, pairs: int, seed: int) -> str:
    """Generate an archive of road scenes below ``folder``, fuse it, and say where to look.

    Args:
        folder: Local folder; ``source`` and ``output`` are made in it.
        pairs: Number of pairs of 640x480.
        seed: Seed of the scenes.

    Returns:
        Markdown with places, metrics, and the line to go on with in pandas.
    """
    top = Path(folder).resolve()
    write_archive(str(top / "source"), pairs=pairs, seed=seed)
    settings = FuseArchiveSettings(
        source=str(top / "source"), output=str(top / "output"), chunk_pairs=4, contact_sheet=8
    )
    summary = fuse_archive(settings)
    assert isinstance(summary, RunSummary)
    sheets = sorted((top / "output" / "runs").glob("*/contact_sheet.png"))
    rows = read_manifest(summary.manifest, filters=[("status", "=", "ok")])
    with scratch_folder() as scratch:
        metrics = RunRows(spill(scratch, RUN_SCHEMA, [rows]), scratch).metric_statistics()
    lines = [
        "# fuse-archive demo",
        "",
        summary.sentence(),
        "",
        f"- archive: `{settings.source}`",
        f"- fused images: `{top / 'output' / 'fused'}`",
        f"- contact sheet: `{sheets[-1] if sheets else 'none drawn'}`",
        f"- manifest: `{summary.manifest}`",
        "",
        *metric_table(metrics, len(rows)),
        "",
        "Go on with pandas:",
        "",
        "```python",
        "import pandas as pd",
        f'pd.read_parquet("{summary.manifest}")[["pair_id", "status", "vif", "qabf", "ssim"]]',
        "```",
    ]
    return "\n".join(lines) + "\n"
