"""The summary of a scoring run: what has no counterpart, and the comparison table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from flows.summaries.archive import ArchiveSummary
from flows.summaries.listings import listing_lines


class ScoreSummary(ArchiveSummary):
    """The outcome of a scoring run.

    Attributes:
        images: Fused images found that have a pair, of all methods.
        scored: Images scored by this run.
        unpaired_images: By method, paths of fused images whose pair is missing.
        missing: By method, ids of the pairs without a fused image.
        ambiguous_images: By method, paths of fused images that claim the same pair.
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
        lines += self._unsuccessful_lines()
        lines += listing_lines(self._source_files())
        for method, paths in self.unpaired_images.items():
            lines += listing_lines({f"Images of {method} without a pair": paths})
            lines += listing_lines({f"Pairs without an image of {method}": self.missing[method]})
            same = self.ambiguous_images[method]
            lines += listing_lines({f"Ambiguous images of {method} (same pair)": same})
        lines += ["", "## Comparison", "", self.table]
        return "\n".join(lines)

    def sentence(self) -> str:
        """Return in one sentence what was done, and why the rest was not."""
        parts = [
            f"{self.found} pairs and {self.images} fused images of "
            f"{len(self.unpaired_images)} methods "
            f"found: {self.scored} scored and {self.failed} failed in {self.seconds:.0f} s",
            *self._left_alone("files and settings"),
        ]
        for found, what in (
            (self.unpaired_images, "images without a pair"),
            (self.missing, "pairs without an image"),
            (self.ambiguous_images, "ambiguous images"),
        ):
            if any(found.values()):
                counts = (f"{len(names)} of {method}" for method, names in found.items() if names)
                parts.append(f"{what}: {', '.join(counts)}")
        return "; ".join(parts) + "."
