"""Path templates: from ``'{scene}/{scene}_B10.TIF'`` to a regular expression over a column."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from fusion_core.errors import SettingsError

FRAME, DIGITS = "{frame}", "{digits}"
"""What stands in a sequence's path where its frames differ: text with a number, or digits alone."""

_TOKEN = re.compile(r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<kind>:path|:frame)?\}|(?P<star>\*)")
_AROUND = ("before", "frame", "after")
# The last digits of a frame's text; of no more than what 64 bits hold.
_NUMBER = r"(?s)(?:^|[^0-9])0*(?P<number>[0-9]{1,19})[^0-9]*$"


@dataclass(frozen=True)
class PathTemplate:
    """A path below the source with named fields.

    ``{name}`` matches part of one file or folder name, ``{name:path}`` may cross folders, ``*``
    matches anything within a name; all else stands for itself. A field that occurs twice must
    have the same value in both places. Fields take as much as they can, from left to right.

    ``{name:frame}`` matches part of one name that holds a number, and tells the frames of a
    sequence apart: it is no part of the pair id, and files that differ in it alone are one
    sequence. Where a field stands before it in the same name, it matches digits alone.

    Attributes:
        text: The template as written.
        fields: Names of the fields in order of first appearance, without the frame's.
        pattern: RE2 pattern; occurrence k of a field is the group ``name__k``. The frame is
            ``frame``, and what stands around it ``before`` and ``after``.
        occurrences: How often each field occurs, in the order of ``fields``.
        placeholder: What stands for the frame in the path of a sequence, ``FRAME`` or ``DIGITS``;
            None where the template is of single files.
    """

    text: str
    fields: tuple[str, ...]
    pattern: str
    occurrences: tuple[int, ...]
    placeholder: str | None = None

    @classmethod
    def parse(cls, text: str) -> PathTemplate:
        """Read a template.

        Raises:
            SettingsError: It has no field, unbalanced braces, or starts with a slash; or it has a
                frame whose sequence could not be found again by its path.
        """
        counts: dict[str, int] = {}
        pattern, placeholder = "", None
        end = 0
        for token in _TOKEN.finditer(text):
            pattern += _literal(text, end, token.start())
            end = token.end()
            name, kind = token["name"], token["kind"]
            if token["star"]:
                pattern += "[^/]*"
            elif kind == ":frame":
                placeholder = _placeholder(text, token)
                value = "[0-9]+" if placeholder == DIGITS else "[^/]+"
                pattern = f"(?P<before>{pattern})(?P<frame>{value})(?P<after>"
            else:
                counts[name] = counts.get(name, 0) + 1
                value = ".+" if kind else "[^/]+"
                pattern += f"(?P<{name}__{counts[name]}>{value})"
        pattern += _literal(text, end, len(text)) + (")" if placeholder else "")
        if not counts:
            example = "'ir/{clip}/{n:frame}.png'" if placeholder else "'ir/{pair}.png'"
            beside = " beside the frame's" if placeholder else ""
            raise SettingsError(
                f"template {text!r} has no field{beside}; expected at least one, such as {example}"
            )
        if text.startswith("/"):
            raise SettingsError(
                f"template {text!r} starts with '/'; expected a path relative to the source"
            )
        pattern = f"(?s)^{pattern}$"  # a file name may hold a line break
        return cls(text, tuple(counts), pattern, tuple(counts.values()), placeholder)

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
        if self.placeholder:
            mask = pc.and_(mask, pc.is_valid(frame_numbers(pc.struct_field(groups, "frame"))))
        values = [pc.struct_field(groups, f"{name}__1") for name in order]
        ids = pc.binary_join_element_wise(*values, "/")
        return mask, pc.if_else(mask, ids, pa.scalar(None, pa.string()))

    def sequences(self, paths: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
        """Return of paths that match the path of their sequence, and the text of their frame.

        The template must be of sequences.
        """
        groups = pc.extract_regex(paths.cast(pa.string()).combine_chunks(), pattern=self.pattern)
        before, frame, after = (pc.struct_field(groups, name) for name in _AROUND)
        return pc.binary_join_element_wise(before, self.placeholder, after, ""), frame


def frame_numbers(frames: pa.Array) -> pa.Array:
    """Return the last number in each frame's text; null where there is none below 10^19."""
    groups = pc.extract_regex(frames, pattern=_NUMBER)
    return pc.struct_field(groups, "number").cast(pa.uint64())


def parse_templates(ir: str, vi: str) -> tuple[PathTemplate, PathTemplate]:
    """Read the templates of both modalities.

    One of them may be of sequences and the other of single files, such as videos.

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
            f"template {text!r} has a brace that is no field near {part!r}; expected {{name}}, "
            "{name:path} or {name:frame} with letters, digits and underscores"
        )
    return re.escape(part)


def _placeholder(text: str, token: re.Match[str]) -> str:
    """Return what stands for a template's frame in the path of its sequence.

    The files of a sequence are listed again by that path alone, which must find the same ones
    whatever the frame's text: so what stands around it must not depend on that text.
    """
    others = [one for one in _TOKEN.finditer(text) if one.span() != token.span()]
    if any(one["star"] for one in others):
        wrong = "has a frame and a '*'; expected fields, of which each has one value in a sequence"
    elif any(one["kind"] == ":frame" or one["name"] == token["name"] for one in others):
        wrong = "has a frame more than once; expected one, and that once"
    else:
        rest = text[token.end() :]
        before = text[text.rfind("/", 0, token.start()) + 1 : token.start()]
        between = before.rpartition("}")[2]
        if "{" in rest.partition("/")[0] or ":path}" in rest:
            wrong = "has a field behind the frame, in its name or across folders; expected none"
        elif "}" in before and not re.search("[^0-9]", between):
            wrong = "has a field right in front of the frame; expected text between, such as '_'"
        else:
            return DIGITS if "}" in before else FRAME
    raise SettingsError(
        f"template {text!r} {wrong}. The frames of a sequence must be found again by its path, as "
        "with '{clip}/{n:frame}.png'"
    )
