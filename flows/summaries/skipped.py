"""The summary of a run that left its work to another one."""

from __future__ import annotations

from flows.summaries.base import Summary


class SkippedRun(Summary):
    """The outcome of a run that found another one at work, and whose ``overlap`` is skip.

    Attributes:
        run_id: The run.
        reason: Which run it found.
    """

    run_id: str
    reason: str

    def sentence(self) -> str:
        """Return which run was found at work."""
        return f"Nothing done: {self.reason}"

    def markdown(self) -> str:
        """Return it as people read it."""
        return f"# Nothing done: {self.run_id}\n\n{self.reason}\n"
