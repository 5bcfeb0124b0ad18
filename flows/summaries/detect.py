"""The summary of a detecting run: what was looked at, and the table of average precision."""

from __future__ import annotations

from flows.summaries.images import ImagesSummary
from flows.summaries.listings import listing_lines

Precisions = dict[str, dict[str, dict[str, float | None]]]


class DetectSummary(ImagesSummary):
    """The outcome of a detecting run.

    Attributes:
        detected: Images looked at by this run.
        labelled: Pairs with labels that all methods have an image of, which the table is over;
            None without labels.
        unlabelled: Pairs without labels, which are left out of it.
        labels_without_pair: Labelled images that belong to no pair; the first hundred.
        precisions: By method and class, and for ``all``, ``ap50`` and ``ap``.
        contact_sheet: URL of the sheet with boxes, if one was drawn.
    """

    detected: int
    labelled: int | None = None
    unlabelled: int = 0
    labels_without_pair: tuple[str, ...] = ()
    precisions: Precisions
    contact_sheet: str | None = None

    @property
    def succeeded(self) -> int:
        """Images looked at by this run."""
        return self.detected

    def markdown(self) -> str:
        """Return the summary as people read it, with the table at its end."""
        lines = [f"# detect-archive {self.run_id}", "", self.sentence(), ""]
        lines += [f"- boxes: `{self.manifest}`"]
        lines += [f"- table as {kind}: `{url}`" for kind, url in self.tables.items()]
        if self.contact_sheet:
            lines += [f"- contact sheet: `{self.contact_sheet}`"]
        lines += self._details_lines()
        lines += self._unsuccessful_lines()
        lines += self._source_file_lines()
        lines += self._image_lines()
        lines += listing_lines(
            "Labelled images without a pair",
            self.labels_without_pair,
            self.count("labels_without_pair"),
        )
        if self.table:
            lines += ["", "## Average precision", "", self.table]
        return "\n".join(lines)

    def sentence(self) -> str:
        """Return in one sentence what was done, and why the rest was not."""
        parts = [
            f"{self.found} pairs and {self.images} images of them found: {self.detected} looked at "
            f"and {self.failed} failed in {self.seconds:.0f} s",
            *self._left_alone("files, detector and settings"),
            *self._without_counterpart(),
        ]
        if self.labelled is not None:
            parts.append(f"{self.labelled} labelled pairs compared, {self.unlabelled} unlabelled")
        if strays := self.count("labels_without_pair"):
            parts.append(f"{strays} labelled images without a pair")
        return "; ".join(parts) + "."
