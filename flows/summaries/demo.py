"""The summary of the demo: where its archive and its results lie."""

from __future__ import annotations

from flows.summaries.base import Summary
from flows.summaries.run import metric_table


class DemoSummary(Summary):
    """The outcome of the demo.

    Attributes:
        said: The run's sentence.
        archive: Where the generated pairs lie.
        fused: Where the fused images lie.
        contact_sheet: The newest contact sheet, if one was drawn.
        manifest: The manifest.
        pairs: How many pairs are fused, by all runs.
        metrics: Their metrics, by ``RunRows.metric_statistics``.
    """

    said: str
    archive: str
    fused: str
    contact_sheet: str | None
    manifest: str
    pairs: int
    metrics: dict[str, dict[str, float | None]]

    def sentence(self) -> str:
        """Return the run's sentence."""
        return self.said

    def markdown(self) -> str:
        """Return places, metrics, and the line to go on with in pandas."""
        lines = [
            "# fuse-archive demo",
            "",
            self.said,
            "",
            f"- archive: `{self.archive}`",
            f"- fused images: `{self.fused}`",
            f"- contact sheet: `{self.contact_sheet or 'none drawn'}`",
            f"- manifest: `{self.manifest}`",
            "",
            *metric_table(self.metrics, self.pairs),
            "",
            "Go on with pandas:",
            "",
            "```python",
            "import pandas as pd",
            f'pd.read_parquet("{self.manifest}")[["pair_id", "status", "vif", "qabf", "ssim"]]',
            "```",
        ]
        return "\n".join(lines) + "\n"
