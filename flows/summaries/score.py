"""The summary of a scoring run: what has no counterpart, and the comparison table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from flows.summaries.archive import ArchiveSummary
from flows.summaries.images import ImagesSummary


class ScoreSummary(ImagesSummary):
    """The outcome of a scoring run.

    Attributes:
        scored: Images scored by this run.
        means: By method and metric, the means of the comparison table.
    """

    renamed: ClassVar[Mapping[str, str]] = {
        **ArchiveSummary.renamed,
        "unpaired": "unpaired_images",
        "doubled_images": "ambiguous_images",
    }

    scored: int
    means: dict[str, dict[str, float | None]]

    @property
    def succeeded(self) -> int:
        """Images scored by this run."""
        return self.scored

    def markdown(self) -> str:
        """Return the summary as people read it, with the table at its end."""
        lines = [f"# score-archive {self.run_id}", "", self.sentence(), ""]
        lines += [f"- scores: `{self.manifest}`"]
        lines += [f"- table as {kind}: `{url}`" for kind, url in self.tables.items()]
        lines += self._details_lines()
        lines += self._unsuccessful_lines()
        lines += self._source_file_lines()
        lines += self._image_lines()
        lines += ["", "## Comparison", "", self.table]
        return "\n".join(lines)

    def sentence(self) -> str:
        """Return in one sentence what was done, and why the rest was not."""
        parts = [
            f"{self.found} pairs and {self.images} fused images of "
            f"{len(self.unpaired_images)} methods "
            f"found: {self.scored} scored and {self.failed} failed in {self.seconds:.0f} s",
            *self._left_alone("files and settings"),
            *self._without_counterpart(),
        ]
        return "; ".join(parts) + "."
