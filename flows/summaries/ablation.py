"""The summary of an ablation study: its trainings, and the comparison of what they made."""

from __future__ import annotations

from flows.summaries.base import Summary
from flows.summaries.evaluation import EvaluationSummary
from flows.summaries.skipped import SkippedRun
from flows.summaries.train import TrainSummary


class AblationSummary(Summary):
    """The outcome of an ablation.

    Attributes:
        study: Which one.
        trainings: The training of each variant, by its name.
        evaluation: Their comparison.
    """

    study: str
    trainings: dict[str, TrainSummary]
    evaluation: EvaluationSummary | SkippedRun

    def sentence(self) -> str:
        """Return how many variants were trained, and what became of their comparison."""
        return (
            f"{len(self.trainings)} variants of the study {self.study} are trained. "
            f"{self.evaluation.sentence()}"
        )

    def markdown(self) -> str:
        """Return the summary as people read it."""
        lines = [f"# ablate-refinefuse: {self.study}", "", "| variant | steps | loss | seconds |"]
        lines += ["| --- | ---: | ---: | ---: |"]
        lines += [
            f"| {name} | {one.steps} | {one.loss:.4f} | {one.seconds:.0f} |"
            for name, one in self.trainings.items()
        ]
        return "\n".join([*lines, "", self.evaluation.markdown()])
