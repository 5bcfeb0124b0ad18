"""Makes the options of a command from the fields of its settings, and settings from options."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

from cyclopts import Group, Parameter
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from fusion_core.settings import ArchiveSettings, grouped, in_words

Settings = TypeVar("Settings", bound=BaseModel)

POSITIONAL = "positional"
"""Key of a field's ``json_schema_extra``: its values are given without the option's name."""

_NAMED = {
    "fused": "NAME=TEMPLATE",
    "models": "NAME=MODEL",
    "expect": "METRIC=LOW..HIGH",
    "class_names": "LABEL=CLASS",
}
"""Settings that are given as NAME=VALUE, once for each name."""

_ALONE = ("models",)
"""Those of them whose value may stand alone, and is its own name then."""

_WRITTEN = {
    **{"ir_range": "LOW HIGH", "vi_range": "LOW HIGH", "percentiles": "LOW HIGH"},
    **dict.fromkeys(("source", "output", "index", "inventory", "ray_address"), "URL"),
    **dict.fromkeys(("detector", "detector_description", "labels", "label_classes"), "URL"),
    **{
        "pairs": "PAIR...",
        "classes": "CLASS...",
        "ir": "TEMPLATE",
        "vi": "TEMPLATE",
        "prefix": "PATH",
        "time_zone": "ZONE",
    },
    **{"model": "NAME|URL", "worker": "SHARE", "nodata": "VALUE|none"},
}
"""How people write the values of settings whose type doesn't say it."""

_SHORT = 24
"""So many letters of choices stand where a value is written; more stand behind the description."""

_BY_TYPE = {int: "NUMBER", float: "NUMBER", str: "TEXT"}


class UsageError(Exception):
    """A command line that can't be understood; its text is one line for each problem."""


def parameters(settings: type[BaseModel]) -> list[inspect.Parameter]:
    """Return the parameters of a command, one for each setting, for cyclopts.

    Every value comes as it was written, and the settings read it: there is one place that says
    what is a number, and one that says what is wrong with it. An option that comes twice counts as
    it was given last, as in command lines of before.
    """
    found = []
    for heading, names in _headings(settings):
        for name in names:
            found += _parameters(name, settings.model_fields[name], heading)
    return sorted(found, key=lambda one: one.kind)


def settings_of(settings: type[Settings], given: Mapping[str, Any]) -> Settings:
    """Return the settings that options say.

    Args:
        settings: Their class.
        given: By parameter's name, what was given.

    Raises:
        UsageError: They can't be read, or don't go together.
    """
    values: dict[str, Any] = {}
    for name, value in given.items():
        if value is not None:
            outer, _, inner = name.partition("__")
            field = _field(settings, outer, inner)
            _put(values, outer, inner, _read(inner or outer, field, value))
    try:
        return settings(**values)
    except ValidationError as error:
        raise usage_error(error) from None


def usage_error(error: ValidationError) -> UsageError:
    """Return what settings were refused with, in words, each time with the option's name."""
    lines = [
        f"{option_name(name)}: {problem}" if name else problem for name, problem in in_words(error)
    ]
    return UsageError("\n".join(lines))


def option_name(field: str) -> str:
    """Return how the option of a setting is called."""
    return f"--{field.replace('_', '-')}"


def by_name(setting: str, given: Sequence[str]) -> dict[str, str]:
    """Return values that are given as NAME=VALUE by their names.

    Args:
        setting: Of which setting, such as ``fused``.
        given: Each NAME=VALUE.

    Raises:
        UsageError: A value has no name, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals and setting not in _ALONE:
            raise UsageError(
                f"{option_name(setting)}: found {text!r}; expected {_NAMED[setting]}"
                + (", such as densefuse='fused_densefuse/{pair}.png'" * (setting == "fused"))
            )
        if name in found:
            raise UsageError(
                f"{option_name(setting)}: found the name {name!r} twice; expected each name once"
            )
        found[name] = value if equals else name
    return found


def _headings(settings: type[BaseModel]) -> list[tuple[Group, tuple[str, ...]]]:
    if not issubclass(settings, ArchiveSettings):
        return [(Group("Options", sort_key=0), tuple(settings.model_fields))]
    return [
        (Group(group.name, help=group.about, sort_key=number), names)
        for number, (group, names) in enumerate(grouped(settings))
    ]


def _parameters(name: str, field: FieldInfo, group: Group) -> list[inspect.Parameter]:
    """Return the parameter of a setting, and of all within it where it is settings itself."""
    inner = _settings_within(field)
    if inner is None:
        return [_parameter(name, option_name(name), field, group)]
    parts = [_parameter(name, option_name(name), field, group, metavar="JSON")]
    for part, its_field in inner.model_fields.items():
        option = f"{option_name(name)}.{part.replace('_', '-')}"
        parts.append(_parameter(f"{name}__{part}", option, its_field, group))
    return parts


def _parameter(
    name: str, option: str, field: FieldInfo, group: Group, *, metavar: str | None = None
) -> inspect.Parameter:
    positional = _extra(field).get(POSITIONAL, False)
    required = field.is_required() and metavar is None and "__" not in name
    told = " ".join(filter(None, [field.description, _default(field)]))
    shared: dict[str, Any] = {
        "group": group,
        "help": told,
        "show_default": False,
        "required": required,
    }
    if field.annotation is bool:
        negative = option.replace("--", "--no-", 1)
        annotation: Any = Annotated[
            list[bool] | None, Parameter(name=option, negative=negative, **shared)
        ]
    else:
        choices = _choices(field)
        annotation = Annotated[
            list[str] | None,
            Parameter(
                name=option.removeprefix("--").upper() if positional else option,
                negative=(),
                consume_multiple=_count(field),
                choices=choices if _is_choice(field) else None,
                show_choices=len("|".join(choices)) > _SHORT,
                metavar=metavar or _written(name, field, choices),
                **shared,
            ),
        ]
    kind = inspect.Parameter.VAR_POSITIONAL if positional else inspect.Parameter.KEYWORD_ONLY
    if positional:
        annotation = Annotated[str, Parameter(name=name.upper(), **shared)]
        return inspect.Parameter(name, kind, annotation=annotation)
    return inspect.Parameter(name, kind, annotation=annotation, default=None)


def _read(name: str, field: FieldInfo, value: Any) -> Any:
    """Return what the settings are given for what was written."""
    if name in _NAMED:
        return by_name(name, value)
    if _extra(field).get(POSITIONAL, False):
        return tuple(value)
    if _count(field):
        return [*value] if _of_texts(field) else _values(value)
    last = value[-1]
    if _settings_within(field) is not None:
        return _json(last)
    return None if last == "none" and _takes_nothing(field) else last


def _values(words: Sequence[str]) -> list[Any]:
    """Return several values, written as words, with commas, or as a JSON list."""
    text = ",".join(words).strip()
    if text.startswith("["):
        return list(_json(text))
    return [one.strip() for one in text.split(",") if one.strip()]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # the settings say what they expect


def _put(values: dict[str, Any], outer: str, inner: str, value: Any) -> None:
    if not inner:
        before = values.get(outer)
        if isinstance(before, dict) and isinstance(value, dict):
            value = {**value, **before}
        values[outer] = value
    else:
        within = values.setdefault(outer, {})
        if isinstance(within, dict):
            within[inner] = value


def _field(settings: type[BaseModel], outer: str, inner: str) -> FieldInfo:
    field = settings.model_fields[outer]
    within = _settings_within(field) if inner else None
    return within.model_fields[inner] if within else field


def _branches(field: FieldInfo) -> tuple[Any, ...]:
    annotation = field.annotation
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return typing.get_args(annotation) if union else (annotation,)


def _settings_within(field: FieldInfo) -> type[BaseModel] | None:
    for branch in _branches(field):
        if isinstance(branch, type) and issubclass(branch, BaseModel):
            return branch
    return None


def _takes_nothing(field: FieldInfo) -> bool:
    return type(None) in _branches(field) and "none" not in _choices(field)


def _choices(field: FieldInfo) -> tuple[str, ...]:
    found: list[Any] = []
    for branch in _branches(field):
        found += typing.get_args(branch) if typing.get_origin(branch) is Literal else []
    return tuple(map(str, found))


def _is_choice(field: FieldInfo) -> bool:
    """Tell whether a value is one of some words, and no other word is taken for one of them."""
    kinds = [branch for branch in _branches(field) if branch is not type(None)]
    return all(typing.get_origin(one) is Literal for one in kinds) and "enum" not in _extra(field)


def _count(field: FieldInfo) -> tuple[int, int | None] | None:
    """Return how many words the values of a setting may be written as; None for one."""
    for branch in _branches(field):
        if typing.get_origin(branch) is tuple:
            kinds = typing.get_args(branch)
            return (1, None if kinds[-1] is Ellipsis else len(kinds))
    return None


def _of_texts(field: FieldInfo) -> bool:
    """Tell whether several values are texts, in which a comma may be meant."""
    return any(typing.get_args(branch)[:1] == (str,) for branch in _branches(field))


def _written(name: str, field: FieldInfo, choices: tuple[str, ...]) -> str:
    name = name.rpartition("__")[2]
    if name in _NAMED or name in _WRITTEN:
        return _NAMED.get(name) or _WRITTEN[name]
    kinds = [branch for branch in _branches(field) if branch is not type(None)]
    if choices and len(kinds) == 1:
        joined = "|".join(choices)
        return joined if len(joined) <= _SHORT else "CHOICE"
    if _count(field):
        return "NUMBER..."
    known = [_BY_TYPE[kind] for kind in kinds if kind in _BY_TYPE]
    return known[-1] if known else name.upper()


def _default(field: FieldInfo) -> str:
    """Return what a setting is unless it is given, where its description doesn't say it."""
    value, told = field.default, field.description or ""
    if field.is_required() or value is None or "Default" in told or isinstance(value, BaseModel):
        return ""
    if isinstance(value, bool) or field.default_factory is not None or value in ("", {}, ()):
        return ""
    shown = " ".join(f"{one:g}" for one in value) if isinstance(value, tuple) else f"{value}"
    return f"(default: {shown})"


def _extra(field: FieldInfo) -> Mapping[str, Any]:
    extra = field.json_schema_extra
    return extra if isinstance(extra, dict) else {}
