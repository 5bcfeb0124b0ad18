"""Tells whether a text, a path or an object of an output names one of some pairs."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusion_core.archive.layout import FUSED_FOLDER, is_image_of
from fusion_core.storage.store import Storage

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".webp")
"""Extensions of what nothing can be searched in."""

_FIXED = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_temporal)
_BATCH = 8192


class Naming:
    """Knows some pairs by all the ways that outputs write their ids in.

    An id counts where no letter, digit, hyphen or underscore is next to it, so that ``7`` isn't
    found in ``17``; that of another pair that holds it, as ``a/7`` does, is passed over.

    Args:
        pair_ids: Ids of the pairs.
        others: Ids of all pairs that the output has rows of.
    """

    def __init__(self, pair_ids: Collection[str], others: Iterable[str] = ()):
        self.pair_ids = frozenset(pair_ids)
        self._pattern = _pattern(self.pair_ids)
        alike = {one for one in others if one not in self.pair_ids and self._pattern.search(one)}
        self._alike = _pattern(alike) if alike else None

    def in_text(self, text: str) -> bool:
        """Tell whether a text names one of the pairs, also as JSON, URLs and markdown write it."""
        if self._pattern.search(text) is None and "\\" not in text:
            return False
        return self._left_in(text) or self._left_in(text.replace("\\", ""))

    def in_path(self, path: str) -> bool:
        """Tell whether a path below the output names one of them."""
        if path.startswith(f"{FUSED_FOLDER}/"):
            return is_image_of(path, self.pair_ids)
        return self.in_text(path)

    def in_object(self, storage: Storage, path: str) -> bool:
        """Tell whether an object's content names one of them; nothing is known of pictures.

        Raises:
            FileNotFoundError: There is no such object.
            StorageError: The store failed.
        """
        if path.endswith(PICTURES):
            return False
        if path.endswith(".parquet"):
            return storage.call(
                f"read {storage.url(path)}", lambda: self._in_parquet(storage, path)
            )
        return self.in_text(storage.read(path).decode(errors="replace"))

    def _in_parquet(self, storage: Storage, path: str) -> bool:
        with storage.fs.open(storage.fs_path(path), "rb") as handle:
            try:
                file = pq.ParquetFile(handle, pre_buffer=False)
                return any(self.in_text(text) for text in _texts(file))
            except pa.ArrowInvalid:  # whatever it is
                handle.seek(0)
                return self.in_text(handle.read().decode(errors="replace"))

    def _left_in(self, text: str) -> bool:
        if self._alike is not None:
            text = self._alike.sub("", text)
        return self._pattern.search(text) is not None


def _pattern(pair_ids: Collection[str]) -> re.Pattern[str]:
    ways = {way for pair_id in pair_ids for way in _written(pair_id)}
    listed = "|".join(re.escape(way) for way in sorted(ways, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{listed})(?![\w-])")


def _written(pair_id: str) -> Iterator[str]:
    yield pair_id
    yield json.dumps(pair_id)[1:-1]
    yield quote(pair_id)
    yield quote(pair_id, safe="/ ()+,=@")  # as paths of images are


def _texts(file: pq.ParquetFile) -> Iterator[str]:
    """Yield all texts of a Parquet file, each once for a batch."""
    columns = {
        field.name for field in file.schema_arrow if not any(kind(field.type) for kind in _FIXED)
    }
    for batch in file.iter_batches(_BATCH, columns=sorted(columns), use_threads=False):
        for column in batch.columns:
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                yield from filter(None, pc.unique(column).to_pylist())
            else:
                yield from map(str, column.to_pylist())
