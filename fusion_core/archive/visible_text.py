"""Shows texts that others wrote: on one line, and nothing hidden in them."""

from __future__ import annotations


def visible(text: str) -> str:
    """Return a text on one line, in which a terminal or browser finds nothing to obey.

    Control characters, and those that turn the direction of writing, are shown by their numbers.
    """
    if text.isprintable():
        return text
    shown = (
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text.replace("\n", " ")
    )
    return "".join(shown)
