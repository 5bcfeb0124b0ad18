"""Says in words what is wrong with settings: what was found, and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

_Told = Callable[[Mapping[str, Any]], str]

_EXPECTED: dict[str, _Told] = {
    "greater_than_equal": lambda of: f"at least {of['ge']:g}",
    "greater_than": lambda of: f"more than {of['gt']:g}",
    "less_than_equal": lambda of: f"at most {of['le']:g}",
    "less_than": lambda of: f"less than {of['lt']:g}",
    "literal_error": lambda of: str(of["expected"]).replace("'", ""),
    "int_parsing": lambda _: "a whole number",
    "int_type": lambda _: "a whole number",
    "int_from_float": lambda _: "a whole number",
    "float_parsing": lambda _: "a number",
    "float_type": lambda _: "a number",
    "finite_number": lambda _: "a finite number",
    "bool_parsing": lambda _: "true or false",
    "bool_type": lambda _: "true or false",
    "string_type": lambda _: "a text",
    "dict_type": lambda _: "names with values",
    "date_parsing": lambda _: "a date such as 2026-11-20",
    "date_from_datetime_parsing": lambda _: "a date such as 2026-11-20",
    "date_type": lambda _: "a date such as 2026-11-20",
    "tuple_type": lambda _: "several values",
}
"""By pydantic's type of error, what was expected."""

_OF_VALUE_ERROR = "Value error, "


def in_words(error: ValidationError) -> list[tuple[str, str]]:
    """Return what is wrong with settings, each time with the setting's name.

    Args:
        error: What pydantic refused them with.

    Returns:
        The name, such as ``limit`` or ``loss.texture_weight`` and empty where several settings
        don't go together, and what was found and expected. A value that may hold a secret isn't
        quoted: those are refused by validators of our own, which know that.
    """
    told: dict[tuple[str, str], None] = {}
    for problem in error.errors(include_url=False):
        place = [str(part) for part in problem["loc"] if not _is_branch(str(part))]
        told[".".join(place), _problem(problem)] = None
    return [*told]


def _problem(problem: Mapping[str, Any]) -> str:
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is no setting; check its name"
    if kind in ("too_short", "too_long"):
        wanted = context.get("min_length", context.get("max_length"))
        return f"found {context['actual_length']} values; expected {wanted}"
    if kind not in _EXPECTED:
        return str(problem["msg"]).removeprefix(_OF_VALUE_ERROR)
    said = f"found {problem['input']!r}; expected {_EXPECTED[kind](context)}"
    return said + _meant(problem["input"], context)


def _meant(given: Any, context: Mapping[str, Any]) -> str:
    """Return the word that was probably meant, if there is one."""
    words = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
    near = difflib.get_close_matches(str(given), words, n=1)
    return f". Did you mean {near[0]}?" if near else ""


def _is_branch(part: str) -> bool:
    """Tell whether a part of a place names a branch of a union, which nobody wrote."""
    return any(letter in part for letter in "[({") or part in ("float", "int", "str", "none")
