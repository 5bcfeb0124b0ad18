"""The settings that say where the fused images of other methods lie."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydantic import Field, ValidationInfo, field_validator

from fusion_core.archive.path_template import PathTemplate, parse_templates
from fusion_core.errors import SettingsError
from fusion_core.settings.run import RunSettings
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.settings.secrets import NO_SECRETS, refuse_secret

_INDEX_FIELDS = ("pair",)


@dataclass(frozen=True)
class FusedLocation:
    """Where the fused images of one method lie.

    Attributes:
        url: Root of their storage; None where that is the source.
        template: Template of their paths below it.
    """

    url: str | None
    template: str

    @classmethod
    def parse(cls, text: str) -> FusedLocation:
        """Split a URL or an absolute path before its first folder part with a field."""
        if "://" not in text and not text.startswith("/"):
            return cls(None, text)
        fixed = re.split(r"[{*]", text, maxsplit=1)[0]
        url = fixed[: fixed.rindex("/") + 1]
        return cls(url, text.removeprefix(url))


class FusedSettings(RunSettings, ScalingSettings):
    """The settings of runs over images that any method fused, found by a template for each."""

    fused: dict[str, str] = Field(
        json_schema_extra=NO_SECRETS,
        description="The fused images of each method, NAME=TEMPLATE, once per method. The "
        "template holds the fields of the infrared one ('pair' where there is an index) and may "
        "hold more; it is a path below the source or a URL with its own folder or bucket.",
    )

    @field_validator("fused")
    @classmethod
    def _methods_are_named(cls, fused: dict[str, str]) -> dict[str, str]:
        for name, template in fused.items():
            check_method_name(name)
            refuse_secret(template)
        return fused

    @field_validator("fused")
    @classmethod
    def _templates_name_pairs(cls, fused: dict[str, str], others: ValidationInfo) -> dict[str, str]:
        if not {"index", "ir", "vi"} <= others.data.keys():
            return fused  # one of those was refused, which is said already
        try:
            wanted = _pair_fields(*(others.data[name] for name in ("index", "ir", "vi")))
            for name, text in fused.items():
                template = PathTemplate.parse(FusedLocation.parse(text).template)
                if template.placeholder is not None:
                    raise SettingsError(
                        f"the template {text!r} of {name} has a frame; expected one of images, "
                        "which are scored one by one"
                    )
                found = template.fields
                if missing := [field for field in wanted if field not in found]:
                    raise SettingsError(
                        f"the template {text!r} of {name} has the fields {list(found)} and lacks "
                        f"{missing}; expected all that make up the pair id, {list(wanted)}"
                    )
        except SettingsError as error:
            raise ValueError(f"{error}") from error
        return fused

    def pair_fields(self) -> tuple[str, ...]:
        """Return the fields that make up the pair id, in their order."""
        return _pair_fields(self.index, self.ir, self.vi)

    def locations(self) -> dict[str, FusedLocation]:
        """Return where the fused images of each method lie."""
        return {name: FusedLocation.parse(text) for name, text in self.fused.items()}


def check_method_name(name: str) -> None:
    """Raise ValueError where a name of a method can't stand in tables and rows."""
    if not name or name != name.strip() or "/" in name or not name.isprintable():
        raise ValueError(
            f"found the method name {name!r}; expected one that isn't empty, has no slash "
            "or line break, and no blanks around it, such as densefuse"
        )


def _pair_fields(index: str | None, ir: str, vi: str) -> tuple[str, ...]:
    return _INDEX_FIELDS if index else parse_templates(ir, vi)[0].fields
