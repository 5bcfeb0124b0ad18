"""What a form is told of settings: their groups and order, and what to say of a wrong value.

Prefect makes its form and its refusals of the JSON schema alone. It sorts by ``position``, since
its database may sort keys by name, and says of a wrong value what the schema's keyword has it say.
A pattern would have it quote the regular expression, so none stands where it is quoted.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from fusion_core.settings.groups import grouped

_TITLES = {
    "ir": "infrared files",
    "vi": "visible files",
    "ir_range": "infrared range",
    "vi_range": "visible range",
    "memory_mb": "memory in MiB",
    "max_megapixels": "most megapixels",
    "max_workers": "most workers",
    "max_failed": "most failed",
    "max_attempts": "most attempts",
    "model_sha256": "model's sha256",
    "stac": "STAC",
    "png_level": "PNG level",
    "nodata": "no data",
    "io_threads": "threads for files",
    "ray_address": "Ray address",
}
"""What settings are called in a form, where their name alone doesn't say it."""

_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "array": "two numbers",
    "date": "a date such as 2026-11-29",
    "null": "nothing",
}
"""What is expected, by the type or format of a schema."""

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def arrange(schema: dict[str, Any], settings: type[BaseModel]) -> None:
    """Give the properties of a JSON schema their titles and positions, group by group.

    Args:
        schema: Of the settings, as pydantic made it; it is changed.
        settings: The class of the settings.

    Raises:
        KeyError: A setting is in no group.
    """
    properties = schema["properties"]
    position = 0
    for group, names in grouped(settings):
        for name in names:
            shown = properties[name]
            shown["title"] = f"{group.name} · {_TITLES.get(name, name.replace('_', ' '))}"
            shown["position"] = position
            position += 1
            _say_what_may_be(shown)
    schema["properties"] = dict(sorted(properties.items(), key=lambda item: item[1]["position"]))


def _say_what_may_be(shown: dict[str, Any]) -> None:
    """Name the choices of a type, and have them refuse in words, not as "not valid under any"."""
    choices = shown.get("anyOf")
    if choices is None:
        return
    # Bounds say nothing of what is no number, so they may as well stand beside the choice.
    for choice in choices:
        shown.update({name: choice.pop(name) for name in _BOUNDS if name in choice})
        choice["title"] = _in_words(choice).removeprefix("a ").partition(" such as ")[0]
    shown.setdefault("if", {"not": {"anyOf": choices}})
    shown.setdefault("then", {"enum": [_in_words(choice) for choice in choices]})


def _in_words(choice: dict[str, Any]) -> str:
    if "const" in choice:
        return str(choice["const"])
    return _KINDS.get(str(choice.get("format", choice.get("type"))), "a value")


def one_of(pattern: str, *examples: str) -> dict[str, Any]:
    """Return what refuses a text in a JSON schema, and names examples instead of the pattern.

    Args:
        pattern: Regular expression that the whole text matches.
        examples: What is told to be expected.
    """
    return {"if": {"not": {"pattern": f"^({pattern})$"}}, "then": {"enum": [*examples]}}


def never(pattern: str, expected: str) -> dict[str, Any]:
    """Return what refuses a text in a JSON schema without quoting it, or the pattern.

    Args:
        pattern: Regular expression of what the text must not hold.
        expected: What is told to be expected.
    """
    return {"if": {"type": "string", "pattern": pattern}, "then": {"const": expected}}
