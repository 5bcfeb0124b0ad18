"""Has workers look at the headers of large rasters, ahead of the work on them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import ray
from ray.exceptions import RayError

from actors.waiting import result_of
from fusion_core import scenes
from fusion_core.scenes import LargeFile, TodoBatch, add_pixels, may_be_scenes
from fusion_core.settings import ArchiveSettings
from fusion_core.storage import StorageOptions, open_source, options_now

BATCH = 512
"""Pairs that are looked at together: no more are waited for before the first chunk."""

_AHEAD = 3  # batches that are looked at while one is worked on
_FILES = 128  # of one task
_FEW = 32  # that the driver looks at itself, sooner than a worker would have started


def with_pixels(
    batches: Iterable[TodoBatch], settings: ArchiveSettings, options: StorageOptions
) -> Iterator[TodoBatch]:
    """Yield pairs that are to be fused with a column ``pixels``, see ``add_pixels``.

    A few batches are looked at ahead, so that headers are read while the work goes on.

    Args:
        batches: Rows of ``Plan.todo``, some hundred at a time.
        settings: Where the archive lies.
        options: Options of its store.
    """
    waiting: deque[tuple[TodoBatch, _Headers]] = deque()
    for batch in batches:
        waiting.append((batch, _Headers(may_be_scenes(batch), settings, options)))
        if len(waiting) > _AHEAD:
            yield _looked_at(*waiting.popleft())
    while waiting:
        yield _looked_at(*waiting.popleft())


class _Headers:
    """The headers of a batch's files, which are being looked at.

    Args:
        files: The files, by their row of the batch.
        settings: Where they lie.
        options: Options of the store.
    """

    def __init__(
        self, files: Mapping[int, LargeFile], settings: ArchiveSettings, options: StorageOptions
    ):
        self._rows, self._files = list(files), list(files.values())
        self._settings, self._options = settings, options
        parts = [self._files[k : k + _FILES] for k in range(0, len(self._files), _FILES)]
        few, now = len(self._files) <= _FEW, options_now(options)
        self._refs = [] if few else [_task().remote(part, settings, now) for part in parts]

    def pixels(self) -> dict[int, int]:
        """Wait for the workers, and return the number of pixels by row."""
        try:
            counts = [count for ref in self._refs for count in result_of(ref)]
        except RayError:  # its node is gone, and so were those of its repetitions
            counts = []
        if not counts and self._files:
            counts = _look(self._files, self._settings, self._options)
        return dict(zip(self._rows, counts, strict=True))


@cache
def _task() -> Any:
    """Return Ray's function; each that is made stays on the cluster until the driver leaves."""
    return ray.remote(num_cpus=0)(_look)


def _looked_at(batch: TodoBatch, headers: _Headers) -> TodoBatch:
    return add_pixels(batch, headers.pixels())


def _look(
    files: Sequence[LargeFile], settings: ArchiveSettings, options: StorageOptions
) -> list[int]:
    return scenes.count_pixels(open_source(settings, options), files)
