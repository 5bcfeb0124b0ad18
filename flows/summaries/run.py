"""The summary of a fusing run, with the table of its metrics."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from flows.summaries.archive import ArchiveSummary
from flows.summaries.listings import listing_lines
from fusion_core.archive import Histogram
from fusion_core.metrics import METRIC_NAMES, METRIC_VERSION


class RunSummary(ArchiveSummary):
    """The outcome of a fusing run.

    Attributes:
        contact_sheet: URL of the contact sheet, if one was drawn.
        fused: Pairs fused by this run.
        metrics: By metric, its mean, standard deviation, minimum and maximum over the fused pairs.
        histograms: By metric, how many fused pairs are in each bin, and some quantiles.
        stage_seconds: By device and stage, the seconds that threads of workers were busy.
        catalog: URL of the STAC catalogue or collection, if one was written.
        remarks: What readers of single fused scenes should know, such as a partial overlap;
            the first hundred, likewise below.
        misaligned: Fused pairs whose infrared image is off, and by how much.
        registration: How many pairs were found aligned, shifted, unsure, or were corrected.
    """

    contact_sheet: str | None
    catalog: str | None = None
    remarks: tuple[str, ...] = ()
    misaligned: tuple[str, ...] = ()
    registration: dict[str, int] = Field(default_factory=dict)
    fused: int
    metrics: dict[str, dict[str, float | None]]
    histograms: dict[str, Histogram] = Field(default_factory=dict)
    stage_seconds: dict[str, dict[str, float]] = Field(default_factory=dict)

    @property
    def succeeded(self) -> int:
        """Pairs fused by this run."""
        return self.fused

    def markdown(self) -> str:
        """Return the summary as people read it."""
        lines = [f"# fuse-archive {self.run_id}", "", self.sentence(), ""]
        lines += [
            f"- images and summary: `{self.output}`",
            f"- manifest: `{self.manifest}`",
        ]
        if self.contact_sheet:
            lines += [f"- contact sheet: `{self.contact_sheet}`"]
        if self.catalog:
            lines += [f"- STAC: `{self.catalog}`"]
        if self.registration:
            found = ", ".join(f"{count} {name}" for name, count in self.registration.items())
            lines += [f"- registration: {found}"]
        lines += self._details_lines()
        if self.metrics:
            lines += ["", *metric_table(self.metrics, self.fused)]
        lines += self._unsuccessful_lines()
        lines += listing_lines("Misaligned pairs", self.misaligned, self.count("misaligned"))
        lines += listing_lines("Remarks", self.remarks, self.count("remarks"))
        lines += self._source_file_lines()
        return "\n".join(lines) + "\n"

    def sentence(self) -> str:
        """Return in one sentence what was done, and why the rest was not."""
        done = (
            f"{self.found} pairs found: {self.fused} fused and {self.failed} failed in "
            f"{self.seconds:.0f} s"
        )
        told = [done, *registration_told(self.registration)]
        return "; ".join([*told, *self._left_alone("files, model and settings")]) + "."


def registration_told(counts: Mapping[str, int]) -> list[str]:
    """Return phrases on pairs that are off, and on those that were; none where there are none."""
    words = {
        "shifted": "with an infrared image that is off the visible one",
        "corrected": "aligned before they were fused",
    }
    return [f"{counts[name]} {told}" for name, told in words.items() if counts.get(name)]


def metric_table(metrics: Mapping[str, Mapping[str, float | None]], pairs: int) -> list[str]:
    """Return the lines of a markdown table of ``RunRows.metric_statistics``."""
    lines = [
        f"Metrics ({METRIC_VERSION}) over {pairs} fused pairs:",
        "",
        "| | " + " | ".join(name.upper() for name in METRIC_NAMES) + " |",
        "| --- |" + " ---: |" * len(METRIC_NAMES),
    ]
    for statistic in ("mean", "std", "min", "max"):
        values = (metrics[name][statistic] for name in METRIC_NAMES)
        cells = ("" if value is None else f"{value:.4f}" for value in values)
        lines.append(f"| {statistic} | " + " | ".join(cells) + " |")
    return lines
