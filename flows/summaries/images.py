"""What the summaries of runs over images of several methods share."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from flows.summaries.archive import ArchiveSummary
from flows.summaries.listings import listing_lines


class ImagesSummary(ArchiveSummary):
    """The outcome of a run over images that are there already.

    Attributes:
        images: Images found that have a pair, of all methods.
        unpaired_images: By method, paths of fused images whose pair is missing; the first hundred
            of each method, likewise below. Empty where no method that fuses is looked at.
        missing: By method, ids of the pairs without a fused image.
        ambiguous_images: By method, paths of fused images that claim the same pair.
        counts_by_method: How long each of these lists is as a whole, by its name and method.
        table: The comparison table in markdown.
        tables: URLs of the table, by format.
    """

    what: ClassVar[str] = "images"

    images: int
    unpaired_images: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    missing: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    ambiguous_images: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    counts_by_method: dict[str, dict[str, int]] = Field(default_factory=dict)
    table: str
    tables: dict[str, str]

    def _image_lines(self) -> list[str]:
        """Return the lines of lists of images and pairs without a counterpart."""
        titles = {
            "unpaired_images": "Images of {} without a pair",
            "missing": "Pairs without an image of {}",
            "ambiguous_images": "Ambiguous images of {} (same pair)",
        }
        return [
            line
            for method in self.unpaired_images
            for name, title in titles.items()
            for line in listing_lines(
                title.format(method), getattr(self, name)[method], self._count_of(name, method)
            )
        ]

    def _without_counterpart(self) -> list[str]:
        """Return phrases on how many images and pairs have no counterpart."""
        parts = []
        for name, what in (
            ("unpaired_images", "images without a pair"),
            ("missing", "pairs without an image"),
            ("ambiguous_images", "ambiguous images"),
        ):
            counts = {method: self._count_of(name, method) for method in getattr(self, name)}
            told = [f"{count} of {method}" for method, count in counts.items() if count]
            if told:
                parts.append(f"{what}: {', '.join(told)}")
        return parts

    def _count_of(self, name: str, method: str) -> int:
        """Return how long a list of a method is as a whole."""
        known = self.counts_by_method.get(name, {})
        return known.get(method, len(getattr(self, name)[method]))
