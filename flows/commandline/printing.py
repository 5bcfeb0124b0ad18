"""Prints what a command comes to: markdown for people, one JSON object, or one sentence."""

from __future__ import annotations

import os
import sys

from pydantic import BaseModel

from flows.commandline.command import Told
from flows.summaries.listings import plain

_OURS = "flows.commandline.console.Console"


class Voice(BaseModel):
    """How much a command says, and how.

    Attributes:
        quiet: Nothing but warnings, errors and one sentence at the end.
        verbose: Also tracebacks and what is of use in looking for faults.
        json_object: One JSON object on stdout.
    """

    quiet: bool = False
    verbose: bool = False
    json_object: bool = False

    def set_up(self) -> None:
        """Have Prefect's logs follow, before Prefect is imported; what is set already stays."""
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS", _OURS)
        if self.quiet or self.verbose:
            os.environ["PREFECT_LOGGING_LEVEL"] = "WARNING" if self.quiet else "DEBUG"

    def tell(self, told: Told) -> None:
        """Print what a command came to on stdout."""
        if self.json_object:
            print(told.model_dump_json())
        elif self.quiet:
            print(plain(told.sentence()))
        else:
            _print_markdown(told.markdown())


def print_error(text: str) -> None:
    """Print an error on stderr, as the last thing of a command: one line for each of its own."""
    sys.stdout.flush()
    for line in text.splitlines():
        print(f"fuse-archive: {plain(line)}", file=sys.stderr, flush=True)


def _print_markdown(markdown: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if console.is_terminal:
        console.print(Markdown(markdown))
    else:
        print(markdown)
