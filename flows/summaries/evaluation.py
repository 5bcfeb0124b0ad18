"""The summary of an evaluation: what each model did, and the comparison table."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from flows.summaries.archive import ArchiveSummary
from flows.summaries.listings import table_cell


class ModelOutcome(BaseModel):
    """The outcome of one model of an evaluation.

    Attributes:
        model: As it was given: a name, or the URL of a file.
        model_hash: Its sha256.
        fused: Pairs fused with it by this run.
        failed: Pairs that failed with it in this run.
        done_before: Pairs that an earlier run had fused with it.
        known_failed: Pairs left alone, because the same files failed with it before.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    model_hash: str
    fused: int
    failed: int
    done_before: int
    known_failed: int


class EvaluationSummary(ArchiveSummary):
    """The outcome of an evaluation.

    Attributes:
        models: What became of each model, by its name in the table.
        pairs: Number of pairs that all models have fused, which the means are over.
        contact_sheet: URL of the contact sheet, if one was drawn.
        means: By model and metric, the means of the comparison table.
        published: Image set of the published rows in the table.
        table: The comparison table in markdown.
        tables: URLs of the table, by format.
    """

    what: ClassVar[str] = "images"

    models: dict[str, ModelOutcome]
    pairs: int
    contact_sheet: str | None
    means: dict[str, dict[str, float | None]]
    published: str | None
    table: str
    tables: dict[str, str]

    @property
    def succeeded(self) -> int:
        """Images fused by this run."""
        return sum(outcome.fused for outcome in self.models.values())

    def markdown(self) -> str:
        """Return the summary as people read it, with the table at its end."""
        lines = [f"# evaluate {self.run_id}", "", self.sentence(), ""]
        lines += [f"- images: `{self.output}`", f"- manifest: `{self.manifest}`"]
        lines += [f"- table as {kind}: `{url}`" for kind, url in self.tables.items()]
        if self.contact_sheet:
            lines += [f"- contact sheet: `{self.contact_sheet}`"]
        lines += self._details_lines()
        lines += ["", "## Models", ""]
        lines += ["| name | model | sha256 | fused | failed | fused before | failed before |"]
        lines += ["| --- | --- | --- | ---: | ---: | ---: | ---: |"]
        for name, of in self.models.items():
            counts = f"{of.fused} | {of.failed} | {of.done_before} | {of.known_failed}"
            lines += [f"| {table_cell(name)} | `{of.model}` | `{of.model_hash[:12]}` | {counts} |"]
        lines += self._unsuccessful_lines()
        lines += self._source_file_lines()
        lines += ["", "## Comparison", "", self.table]
        return "\n".join(lines)

    def sentence(self) -> str:
        """Return in one sentence what was done, and why the rest was not."""
        done = (
            f"{self.found} pairs found for {len(self.models)} models: {self.succeeded} images "
            f"fused and {self.failed} failed in {self.seconds:.0f} s"
        )
        return "; ".join([done, *self._left_alone("files, model and settings")]) + "."
