"""The shape that the summaries of all runs have."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict


class Summary(BaseModel, ABC):
    """What became of a run: data that can tell itself to people."""

    model_config = ConfigDict(frozen=True)

    @abstractmethod
    def sentence(self) -> str:
        """Return in one sentence what was done, and why the rest was not."""

    @abstractmethod
    def markdown(self) -> str:
        """Return the summary as people read it."""
