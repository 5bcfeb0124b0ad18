"""The summary of a scoring run: what has no counterpart, and the comparison table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from flows.summaries.archive import ArchiveSummary
from flows.summaries.listings import listing_lines


class ScoreSummary(ArchiveSummary):
    """The outcome of a scoring run.

    Attributes:
        images: Fused images found that have a pair, of all methods.
        scored: Images scored by this run.
        unpaired_images: By method, paths of fused images whose pair is missing; the first hundred
            of each method, likewise below.
        missing: By method, ids of the pairs without a fused image.
        ambiguous_images: By method, paths of fused images that claim the same pair.
        counts_by_method: How long each of these lists is as a whole, by its name and method.
        means: By method and metric, the means of the comparison table.
        table: The comparison table in markdown.
        tables: URLs of the table, by format.
    """

    what: ClassVar[str] = "images"
    renamed: ClassVar[Mapping[str, str]] = {
        **ArchiveSummary.renamed,
        "unpaired": "unpaired_images",
        "doubled_images": "ambiguous_images",
    }

    images: int
    scored: int
    unpaired_images: dict[str, tuple[str, ...]]
    missing: dict[str, tuple[str, ...]]
    ambiguous_images: dict[str, tuple[str, ...]]
    counts_by_method: dict[str, dict[str, int]] = Field(default_factory=dict)
    means: dict[str, dict[str, float | None]]
    table: str
    tables: dict[str, str]

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
        titles = {
            "unpaired_images": "Images of {} without a pair",
            "missing": "Pairs without an image of {}",
            "ambiguous_images": "Ambiguous images of {} (same pair)",
        }
        for method in self.unpaired_images:
            for name, title in titles.items():
                names, count = getattr(self, name)[method], self._count_of(name, method)
                lines += listing_lines(title.format(method), names, count)
        lines += ["", "## Comparison", "", self.table]
        return "\n".join(lines)

    def _count_of(self, name: str, method: str) -> int:
        """Return how long a list of a method is as a whole."""
        known = self.counts_by_method.get(name, {})
        return known.get(method, len(getattr(self, name)[method]))

    def sentence(self) -> str:
        """Return in one sentence what was done, and why the rest was not."""
        parts = [
            f"{self.found} pairs and {self.images} fused images of "
            f"{len(self.unpaired_images)} methods "
            f"found: {self.scored} scored and {self.failed} failed in {self.seconds:.0f} s",
            *self._left_alone("files and settings"),
        ]
        for name, what in (
            ("unpaired_images", "images without a pair"),
            ("missing", "pairs without an image"),
            ("ambiguous_images", "ambiguous images"),
        ):
            counts = {method: self._count_of(name, method) for method in getattr(self, name)}
            told = [f"{count} of {method}" for method, count in counts.items() if count]
            if told:
                parts.append(f"{what}: {', '.join(told)}")
        return "; ".join(parts) + "."
