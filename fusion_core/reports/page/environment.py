"""Fills the pages' templates: everything is escaped, and a policy forbids all that isn't ours."""

from __future__ import annotations

import base64
import hashlib
import math
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fusion_core.archive.visible_text import visible

_LONGEST = 2000


@cache
def environment() -> Environment:
    """Return the environment of all pages."""
    made = Environment(
        loader=PackageLoader("fusion_core.reports.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"shown": shown, "number": number, "duration": duration}
    return made


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: Name of its template.
        values: What it shows.
    """
    style, script = (_asset(name) for name in ("style.css", "page.js"))
    policy = (
        "default-src 'none'; img-src 'self' data:; "
        f"style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = environment().get_template(template)
    return page.render(style=Markup(style), script=Markup(script), policy=policy, **values)


@cache
def _asset(name: str) -> str:
    folder = resources.files("fusion_core.reports.page") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def shown(text: object) -> str:
    """Return a text from the archive as it can stand in a page, not longer than is read."""
    return visible(str(text)[:_LONGEST])


def number(value: float | None) -> str:
    """Return a number as people read it; nothing where there is none."""
    if value is None or not math.isfinite(value):
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """Return a duration as people read it."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    if seconds < 6000:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:,.1f} h"
