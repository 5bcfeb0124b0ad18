"""Names of good files that break what takes names for plain words."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from hostile_case import Expected, Fused, unread


@dataclass(frozen=True)
class Named:
    """A good pair under a hostile name.

    Attributes:
        name: Names the case.
        file: Name of both files.
        expected: What must become of the pair.
    """

    name: str
    file: bytes
    expected: Expected


def names() -> Iterator[Named]:
    """All cases of this module."""
    texts = {
        "spaces": "  two  words .png",
        "percent": "100%.png",
        "percent-encoded": "a%2e%2e%2fb%00.png",
        "dots-inside": "a..b.png",
        "two-dots-and-no-more": "...png",
        "dots-as-a-name": "... .. .png",
        "newline": "a\nb.png",
        "carriage-return": "a\r\nb.png",
        "tab": "a\tb.png",
        "quotes": "a'b\"c`d.png",
        "backslash": "..\\..\\a.png",
        "leading-dash": "--output=x.png",
        "leading-dot": ".hidden.png",
        "leading-underscore": "_hidden.png",
        "tilde": "~root.png",
        "longest": f"{'n' * 246}.png",
        "longest-of-three-bytes-each": f"{'雪' * 83}.png",
        "glob": "a*?[b]{c,d}.png",
        "braces-of-a-template": "{pair}.png",
        "shell": "$(touch hacked);touch hacked&|#!.png",
        "url": "s3:a?x=y#z.png",
        "url-separator": "a::b.png",
        "comma-and-equals": "date=2026-01-01,a=b.png",
        "control-characters": "a\x01\x1b[31m\x7f.png",
        "right-to-left": "a\u202egnp.png",
        "composed": unicodedata.normalize("NFC", "Zürich.png"),
        "decomposed": unicodedata.normalize("NFD", "Zürich.png"),
        "beyond-the-basic-plane": "🛰.png",
        "no-width": "a\u200b\ufeff.png",
        "upper-case": "NAME.PNG",
        "lower-case": "name.png",
        "no-suffix": "name",
        "digits": "007",
        "null-by-name": "null",
    }
    for name, text in texts.items():
        yield Named(f"name-{name}", text.encode(), Fused())
    # Listed with escapes, under which there is no such file.
    not_utf8 = unread("its name is not UTF-8")
    yield Named("name-latin-1", "Zürich.png".encode("latin-1"), not_utf8)
    yield Named("name-no-utf-8", b"\xff\xfe\x80.png", not_utf8)
