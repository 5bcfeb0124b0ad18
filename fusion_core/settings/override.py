"""Settings of a single run: those of its deployment, but for some that are given anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue

from fusion_core.errors import SettingsError

_TOLD = ("title", "description", "default", "position")

Settings = TypeVar("Settings", bound=BaseModel)


class OverrideOf:
    """Marks a parameter that holds some of the fields of settings, all of them optional.

    Its JSON schema holds each value to the schema of its field, but names no properties, so that a
    form doesn't show all settings twice.

    Args:
        settings: The class of the settings.
    """

    def __init__(self, settings: type[BaseModel]):
        self.settings = settings

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of the parameter."""
        properties = self.settings.model_json_schema()["properties"]
        return handler(core_schema) | {
            "propertyNames": {"enum": [*properties]},
            "patternProperties": {f"^{name}$": _bare(one) for name, one in properties.items()},
        }


def _bare(schema: Any) -> Any:
    """Return what a schema demands, without what it is called, and without models within it.

    Pydantic keeps count of references, and knows none within another's definition.
    """
    if isinstance(schema, list):
        return [_bare(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"type": "object"}
    return {name: _bare(value) for name, value in schema.items() if name not in _TOLD}


def overridden(settings: Settings, override: Mapping[str, Any] | None) -> Settings:
    """Return settings with some of their fields given anew; each replaces the old one whole.

    Args:
        settings: The settings.
        override: The fields that change, by name.

    Raises:
        SettingsError: They don't fit the rest, or a field isn't one of these settings.
    """
    if not override:
        return settings
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    try:
        return type(settings)(**given | dict(override))
    except ValidationError as error:
        told = "; ".join(
            ": ".join(filter(None, [".".join(map(str, problem["loc"])), problem["msg"]]))
            for problem in error.errors(include_input=False)
        )
        raise SettingsError(f"the override doesn't fit: {told}") from None
