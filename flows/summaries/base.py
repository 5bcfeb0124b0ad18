"""The base class of the summaries of all runs."""

from __future__ import annotations

from abc import ABC, abstractmethod

from pydantic import BaseModel, ConfigDict


class Summary(BaseModel, ABC):
    """The outcome of a run, as validated data and as text for people."""

    model_config = ConfigDict(frozen=True)

    @abstractmethod
    def sentence(self) -> str:
        """Return in one sentence what was done, and why the rest was not."""

    @abstractmethod
    def markdown(self) -> str:
        """Return the summary as people read it."""
