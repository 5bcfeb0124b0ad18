"""What a command of the command line is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, Field


class Told(Protocol):
    """What a command comes to, such as the summary of a run."""

    def markdown(self) -> str:
        """Return it as people read it."""

    def sentence(self) -> str:
        """Return it in one sentence."""

    def model_dump_json(self) -> str:
        """Return it as a JSON object."""


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        name: What people type.
        about: What it does, in a sentence.
        settings: What it can be told.
        act: Does it, and returns what came of it, and the exit status. What it needs is imported
            when it is called, so that help loads none of it.
    """

    name: str
    about: str
    settings: type[BaseModel]
    act: Callable[[Any], tuple[Told, int]]


class OfOutput(BaseModel):
    """Which output a command looks at."""

    output: str = Field(description="Folder or bucket that runs write to: any fsspec URL.")
    credentials_block: str | None = Field(
        None,
        description="Name of a Prefect Secret block with the storage options, as for run.",
    )
