"""Path templates: from ``'{scene}/{scene}_B10.TIF'`` to a regular expression over a column."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.errors import SettingsError

_TOKEN = re.compile(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<path>:path)?\}|(?P<star>\*)")


@dataclass(frozen=True)
class PathTemplate:
    """A path below the source with named fields.

    ``{name}`` matches part of one file or folder name, ``{name:path}`` may cross folders, ``*``
    matches anything within a name; all else stands for itself. A field that occurs twice must
    have the same value in both places. Fields take as much as they can, from left to right.

    Attributes:
        text: The template as written.
        fields: Names of the fields in order of first appearance.
        pattern: RE2 pattern; occurrence k of a field is the group ``name__k``.
        occurrences: How often each field occurs, in the order of ``fields``.
    """

    text: str
    fields: tuple[str, ...]
    pattern: str
    occurrences: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> PathTemplate:
        """Read a template.

        Raises:
            SettingsError: It has no field, unbalanced braces, or starts with a slash.
        """
        counts: dict[str, int] = {}
        pattern = "(?s)^"  # a file name may hold a line break
        end = 0
        for token in _TOKEN.finditer(text):
            pattern += _literal(text, end, token.start())
            end = token.end()
            if token["star"]:
                pattern += "[^/]*"
                continue
            name = token["name"]
            counts[name] = counts.get(name, 0) + 1
            pattern += f"(?P<{name}__{counts[name]}>{'.+' if token['path'] else '[^/]+'})"
        pattern += _literal(text, end, len(text)) + "$"
        if not counts:
            raise SettingsError(
                f"template {text!r} has no field; expected at least one, such as 'ir/{{pair}}.png'"
            )
        if text.startswith("/"):
            raise SettingsError(
                f"template {text!r} starts with '/'; expected a path relative to the source"
            )
        return cls(text, tuple(counts), pattern, tuple(counts.values()))

    def match(self, paths: pa.ChunkedArray, order: tuple[str, ...]) -> tuple[pa.Array, pa.Array]:
        """Match a column of paths.

        Args:
            paths: Paths below the source.
            order: The fields in the order in which they make up the pair id.

        Returns:
            A boolean mask of the paths that match, and the pair id of each (null where not): the
            values of the fields joined by ``/``.
        """
        paths = paths.cast(pa.string()).combine_chunks()
        groups = pc.extract_regex(paths, pattern=self.pattern)
        mask = pc.is_valid(groups)
        for name, count in zip(self.fields, self.occurrences, strict=True):
            first = pc.struct_field(groups, f"{name}__1")
            for k in range(2, count + 1):
                same = pc.equal(first, pc.struct_field(groups, f"{name}__{k}"))
                mask = pc.and_(mask, pc.fill_null(same, False))
        values = [pc.struct_field(groups, f"{name}__1") for name in order]
        ids = pc.binary_join_element_wise(*values, "/")
        return mask, pc.if_else(mask, ids, pa.scalar(None, pa.string()))


def parse_templates(ir: str, vi: str) -> tuple[PathTemplate, PathTemplate]:
    """Read the templates of both modalities.

    Raises:
        SettingsError: They don't have the same fields, so no pair id could be shared, or they are
            the same, so that each file would be paired with itself.
    """
    templates = PathTemplate.parse(ir), PathTemplate.parse(vi)
    if set(templates[0].fields) != set(templates[1].fields):
        raise SettingsError(
            f"the templates have different fields: {ir!r} has {sorted(templates[0].fields)}, "
            f"{vi!r} has {sorted(templates[1].fields)}; expected the same names in both"
        )
    if ir == vi:
        raise SettingsError(
            f"both templates are {ir!r}; expected two that tell infrared from visible files"
        )
    return templates


def _literal(text: str, start: int, end: int) -> str:
    part = text[start:end]
    if "{" in part or "}" in part:
        raise SettingsError(
            f"template {text!r} has a brace that is no field near {part!r}; expected {{name}} or "
            "{name:path} with letters, digits and underscores"
        )
    return re.escape(part)
