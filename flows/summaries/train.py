"""The summary of a training: its losses, and where its weights are."""

from __future__ import annotations

from flows.summaries.base import Summary
from flows.summaries.listings import plain
from fusion_core.metrics import METRIC_NAMES
from fusion_core.training import LeftOut, TrainingRecord

_LISTED = 100


class TrainSummary(Summary):
    """The outcome of a training.

    Attributes:
        output: URL of the folder that holds it.
        weights: URL of the averaged weights.
        log: URL of the JSON log.
        curve: URL of the curve.
        done_before: Whether it was finished already, so that nothing was done.
        pairs: Pairs that were trained on.
        steps: Steps taken in all.
        seconds: Time of the steps, without interruptions, validations and checkpoints.
        records: The log's records.
        left_out: Pairs that it did without, since their files can't be used.
    """

    output: str
    weights: str
    log: str
    curve: str
    done_before: bool
    pairs: int
    steps: int
    seconds: float
    records: tuple[TrainingRecord, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def loss(self) -> float:
        """Training loss over the last steps."""
        return self.records[-1].loss

    def sentence(self) -> str:
        """Return in one sentence what was done."""
        if self.done_before:
            return (
                f"The training in {self.output} was finished before, with a loss of "
                f"{self.loss:.4f} after {self.steps} steps: nothing to do.{self._without()}"
            )
        return (
            f"{self.steps} steps on {self.pairs} pairs in {self.seconds:.0f} s, with a loss of "
            f"{self.loss:.4f} at the end.{self._without()}"
        )

    def markdown(self) -> str:
        """Return the summary as people read it."""
        lines = ["# train-refinefuse", "", self.sentence(), ""]
        lines += [f"- weights: `{self.weights}`", f"- log: `{self.log}`"]
        lines += [f"- curve: `{self.curve}`", "", *record_table(self.records)]
        if self.left_out:
            lines += ["", "## Pairs left out", ""]
            shown = self.left_out[:_LISTED]
            lines += [f"- {plain(pair.pair_id)}: {plain(pair.reason)}" for pair in shown]
            more = len(self.left_out) - len(shown)
            lines += [f"- … and {more} more, in log.json"] if more else []
        return "\n".join(lines) + "\n"

    def _without(self) -> str:
        count = len(self.left_out)
        pairs = "1 pair was" if count == 1 else f"{count} pairs were"
        return f" {pairs} left out, since their files can't be used." if count else ""


def record_table(records: tuple[TrainingRecord, ...], *, rows: int = 12) -> list[str]:
    """Return the lines of a markdown table: the validated records, or all; at most ``rows``."""
    shown = [record for record in records if record.validation] or list(records)
    rows = min(rows, len(shown))
    spread = [shown[len(shown) - 1 - k * len(shown) // rows] for k in range(rows)]
    names = ["validation loss", *(name.upper() for name in METRIC_NAMES)]
    columns = ["step", "loss", *(names if shown[-1].validation else [])]
    lines = ["| " + " | ".join(columns) + " |", "|" + " ---: |" * len(columns)]
    for record in reversed(spread):
        cells = [str(record.step), f"{record.loss:.4f}"]
        if record.validation:
            values = [record.validation.loss, *record.validation.metrics.values()]
            cells += ["" if value is None else f"{value:.4f}" for value in values]
        lines.append("| " + " | ".join(cells) + " |")
    return lines
