"""What the commands that keep house found, or did."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from flows.summaries.base import Summary
from flows.summaries.listings import plain


class Section(BaseModel):
    """One kind of what was found.

    Attributes:
        kind: What it is.
        count: How many there are.
        bytes: Their size, where it matters.
        first: The first of them.
    """

    model_config = ConfigDict(frozen=True)

    kind: str
    count: int
    bytes: int | None = None
    first: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return it as lines of markdown."""
        size = "" if self.bytes is None else f" objects, {self.bytes} bytes"
        heading = [f"## {self.kind}: {self.count}{size}", ""] if self.kind else []
        more = self.count - len(self.first)
        rest = [f"- … and {more} more"] if more > 0 else []
        return [*heading, *(f"- {plain(text)}" for text in self.first), *rest, ""]


class Housekeeping(Summary):
    """The outcome of a command that keeps house in an output.

    Attributes:
        title: What was done, in a line.
        output: URL of the output; empty where it is about none.
        sections: What was found, by kind.
        notes: What there is to say beside.
        well: Whether all is as it has to be.
    """

    title: str
    output: str = ""
    sections: tuple[Section, ...] = ()
    notes: tuple[str, ...] = ()
    well: bool = True

    def sentence(self) -> str:
        """Return what was done, and how much was found."""
        found = [f"{one.count} {one.kind}" for one in self.sections if one.kind]
        return f"{self.title}{': ' * bool(found)}{', '.join(found)}."

    def markdown(self) -> str:
        """Return it as people read it."""
        lines = [f"# {self.title}", "" if self.sections or self.notes else "Nothing was found."]
        lines += [line for section in self.sections for line in section.lines()]
        return "\n".join([*lines, *self.notes])
