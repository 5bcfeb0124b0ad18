"""Markdown that several summaries share: tables of failures, lists of files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fusion_core.archive import visible

FIRST = 100
"""So many of each list stand in a summary; all of it lies beside."""

_LISTED = 20
_LONGEST = 2000
_ACTIVE = re.compile(r"([\\|<\[`])")  # what begins a cell, HTML, a link, an image or code


def failure_lines(title: str, failures: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    """Return the lines of a table of what failed, if anything did.

    Args:
        title: Of the table.
        failures: The first of what failed.
        count: How much did.
    """
    if not failures:
        return []
    lines = ["", f"## {title}", "", "| pair | stage | reason |", "| --- | --- | --- |"]
    for row in failures[:_LISTED]:
        cells = (failed_name(row), str(row["stage"]), row["error_message"])
        lines.append(f"| {' | '.join(map(table_cell, cells))} |")
    return lines + _more(count, len(failures))


def listing_lines(title: str, names: Sequence[str], count: int) -> list[str]:
    """Return the lines of a list, where there is something to list.

    Args:
        title: Of the list.
        names: The first of it.
        count: How long it is.
    """
    if not names:
        return []
    lines = ["", f"## {title}: {count}", ""]
    lines += [f"- {code_span(name)}" for name in names[:_LISTED]]
    return lines + _more(count, len(names))


def failed_name(row: Mapping[str, Any]) -> str:
    """Return the name of what failed: a pair, or the image that a method made of it."""
    return f"{row['pair_id']} of {row['method']}" if "method" in row else str(row["pair_id"])


def table_cell(text: str) -> str:
    """Return a text as it can stand in a cell of a markdown table, where it is nothing but text."""
    return _ACTIVE.sub(r"\\\1", plain(text[:_LONGEST]))


def code_span(text: str) -> str:
    """Return a text as code in markdown, whatever is in it."""
    shown = plain(text[:_LONGEST])
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence, gap = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{gap}{shown}{gap}{fence}"


def plain(text: str) -> str:
    """Return a text on one line, in which a terminal finds nothing to obey."""
    return visible(text)


def _more(count: int, known: int) -> list[str]:
    left = count - min(known, _LISTED)
    return [f"\n… and {left} more"] if left > 0 else []
