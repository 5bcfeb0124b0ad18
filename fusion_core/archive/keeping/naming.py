"""Tells whether a text, a path or an object of an output names one of some pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from markupsafe import escape

from fusion_core.archive.layout import (
    COMMITS_FOLDER,
    FUSED_FOLDER,
    INDEX_PATH,
    NIGHTS_PATH,
    is_image_of,
    is_part_path,
    is_request_path,
    is_rows_path,
)
from fusion_core.archive.visible_text import visible
from fusion_core.storage.store import Storage

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".webp", ".mp4", ".mkv", ".nut")
"""Extensions of what nothing can be searched in, and what may be of many gigabytes."""

_FIXED = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_temporal)
_BATCH = 8192

_WORD = re.compile(r"[\d.:_-]+|[A-Za-z]+")
"""An id that a text may hold without meaning the pair: a number, a date, or a word."""

# Columns of our tables and fields of our JSON in which such an id means something else.
_OF_NO_PAIR = {
    *("status", "stage", "cause", "error_type", "list", "method", "left_out", "date"),
    *("run_id", "host", "device", "precision", "engine", "data_type", "crs", "fused_format"),
    *("model_hash", "settings_hash", "software_version", "metric_version", "metrics_undefined"),
    *("ir_version", "vi_version", "fused_version", "fused_sha256", "ir_scaling", "vi_scaling"),
    *("output", "manifest", "contact_sheet", "catalog", "details", "report", "closed_by"),
    "request",
}


class Naming:
    """Knows some pairs by all the ways that outputs write their ids in.

    An id counts where no letter, digit, hyphen or underscore is next to it, so that ``c/7`` isn't
    found in ``c/17``; that of another pair that holds it, as ``a/c/7`` does, is passed over. One
    that is but a number, a date or a word, as ``7`` is, counts only where a name would stand: as a
    whole value or line, in quotes, as part of a path, before a colon that begins a remark; and not
    in what has no pairs, such as keys of JSON and the column ``status``.

    Args:
        pair_ids: Ids of the pairs.
        others: Ids of all pairs that the output has rows of.
    """

    def __init__(self, pair_ids: Collection[str], others: Iterable[str] = ()):
        self.pair_ids = frozenset(pair_ids)
        words = frozenset(filter(_WORD.fullmatch, self.pair_ids))
        self._names = _Ids(self.pair_ids - words, _ANYWHERE)
        self._words = _Ids(words, _AS_A_NAME)
        for one in others:
            if one not in self.pair_ids:
                self._names.pass_over(one)
                self._words.pass_over(one)

    def in_text(self, text: str) -> bool:
        """Tell whether a text names one of the pairs, also as JSON, URLs and markdown write it."""
        return self._names.found_in(text) or self._words.found_in(text)

    def in_path(self, path: str) -> bool:
        """Tell whether a path below the output names one of them."""
        if path.startswith(f"{FUSED_FOLDER}/"):
            return is_image_of(path, self.pair_ids)
        return self._names.found_in(path) or (
            not _names_nobody(path) and self._words.found_in(path)
        )

    def in_object(self, storage: Storage, path: str) -> bool:
        """Tell whether an object's content names one of them; nothing is known of pictures.

        Neither do settings, which name no pairs, but files and folders that pairs may be called by.

        Raises:
            FileNotFoundError: There is no such object.
            StorageError: The store failed.
        """
        if path.endswith(PICTURES) or path in (INDEX_PATH, NIGHTS_PATH) or is_request_path(path):
            return False
        if path.endswith(".parquet"):
            return storage.call(
                f"read {storage.url(path)}", lambda: self._in_parquet(storage, path)
            )
        return self._in_content(storage.read(path).decode(errors="replace"))

    def _in_parquet(self, storage: Storage, path: str) -> bool:
        with storage.fs.open(storage.fs_path(path), "rb") as handle:
            try:
                file = pq.ParquetFile(handle, pre_buffer=False)
                return any(
                    self._names.found_in(text)
                    or (column not in _OF_NO_PAIR and self._words.found_in(text))
                    for column, text in _texts(file)
                )
            except pa.ArrowInvalid:  # whatever it is
                handle.seek(0)
                return self._in_content(handle.read().decode(errors="replace"))

    def _in_content(self, text: str) -> bool:
        return self._names.found_in(text) or (
            bool(self._words) and any(map(self._words.found_in, _values(text)))
        )


class _Ids:
    """Some ids that are looked for in one way."""

    def __init__(self, ids: Collection[str], way: str):
        self._pattern = _pattern(ids, way) if ids else None
        self._longer: set[str] = set()

    def __bool__(self) -> bool:
        return self._pattern is not None

    def pass_over(self, other: str) -> None:
        """Don't take a mention of this other pair for one, if its id holds one of them."""
        if self._pattern is not None and self._pattern.search(other):
            self._longer.add(other)

    @cached_property
    def _passed_over(self) -> re.Pattern[str] | None:
        return _pattern(self._longer, _ANYWHERE) if self._longer else None

    def found_in(self, text: str) -> bool:
        if self._pattern is None or (self._pattern.search(text) is None and "\\" not in text):
            return False
        return any(
            self._pattern.search(self._passed_over.sub("", form) if self._passed_over else form)
            for form in (text, text.replace("\\", ""))
        )


_ANYWHERE = r"(?<![\w-])(?:IDS)(?![\w-])"
_AS_A_NAME = r"""(?:(?<=[/"'`])|^)(?:IDS)(?=[/"'`]|: |\.[A-Za-z]|$)"""


def _pattern(pair_ids: Collection[str], way: str) -> re.Pattern[str]:
    forms = {form for pair_id in pair_ids for form in _written(pair_id)}
    listed = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
    return re.compile(way.replace("IDS", listed), re.MULTILINE)


def _written(pair_id: str) -> Iterator[str]:
    yield pair_id
    yield json.dumps(pair_id)[1:-1]
    yield visible(pair_id)
    yield str(escape(visible(pair_id)))  # as pages have it
    yield quote(pair_id)
    yield quote(pair_id, safe="/ ()+,=@")  # as paths of images are


def _values(text: str) -> Iterator[str]:
    """Yield of JSON the values that may name a pair, and of other texts the lines."""
    try:
        yield from _values_of(json.loads(text))
    except (ValueError, RecursionError):
        yield from (line for line in text.split("\n") if not _names_nobody(line))


def _values_of(value: object) -> Iterator[str]:
    if isinstance(value, str) and not _names_nobody(value):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _values_of(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            if name not in _OF_NO_PAIR:
                yield from _values_of(one)


def _names_nobody(path: str) -> bool:
    """Tell whether a text is the path of an object that is called after no pair."""
    return path.startswith(f"{COMMITS_FOLDER}/") or is_part_path(path) or is_rows_path(path)


def _texts(file: pq.ParquetFile) -> Iterator[tuple[str, str]]:
    """Yield all texts of a Parquet file with their columns, each once for a batch."""
    columns = {
        field.name for field in file.schema_arrow if not any(kind(field.type) for kind in _FIXED)
    }
    for batch in file.iter_batches(_BATCH, columns=sorted(columns), use_threads=False):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                column = pc.unique(column)
            yield from ((name, str(text)) for text in column.to_pylist() if text is not None)
