"""The transforms of cameras that never move: estimated once over many pairs, then used for all.

Each lies in a file of its own below ``registration``, created exclusively: where several workers
estimate one at a time, what the first has written counts for all of them and for later runs. A
transform that wasn't sure isn't written, so the next run tries again with the pairs that it has.
"""

from __future__ import annotations

import hashlib
import heapq
import io
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fusion_core.archive.layout import camera_path
from fusion_core.archive.path_template import PathTemplate
from fusion_core.archive.plan import PairRef
from fusion_core.archive.schema import MATRIX
from fusion_core.archive.spill import Spill
from fusion_core.errors import ManifestError, PairError
from fusion_core.images.pair import PicturePair
from fusion_core.jobs.registering import transform_of
from fusion_core.registration.camera import CameraTransform, agreed
from fusion_core.registration.warp import Matrix, mean_distance, shift_of
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

PAIRS = 24
"""A transform is estimated over so many pairs of its camera, at most."""

CAMERA_SCHEMA = pa.schema(
    [
        *(("camera", pa.string()), ("registration", pa.string())),
        *(("shift_x", pa.float64()), ("shift_y", pa.float64())),
        *(("registration_score", pa.float64()), ("registration_matrix", MATRIX)),
        *(("pairs", pa.int32()), ("height", pa.int32()), ("width", pa.int32())),
    ]
)
"""Columns of the table of cameras."""

_LONGEST = 1 << 20  # bytes of a file of one row

_REF = ("pair_id", *(f"{s}_{name}" for s in ("ir", "vi") for name in ("path", "bytes", "version")))

Samples = Mapping[str, tuple[PairRef, ...]]
"""By camera, the pairs over which its transform is estimated."""


class CameraNames:
    """Tells which camera a pair is of, by the fields in its infrared image's path.

    Args:
        settings: The template, and the text that is made of its fields.
    """

    def __init__(self, settings: FuseArchiveSettings):
        self._text = settings.registration_by or ""
        # The pattern is RE2's, whose words mean the same to Python.
        self._pattern = re.compile(PathTemplate.parse(settings.ir).pattern)

    def of(self, ir_path: str) -> str:
        """Return the name of the camera whose pair has this infrared image."""
        found = self._pattern.match(ir_path)
        fields = found.groupdict() if found else {}
        return re.sub(
            r"\{(\w+)(?::path)?\}", lambda token: str(fields.get(f"{token[1]}__1")), self._text
        )


def sample_pairs(todo: pa.Table | Spill, settings: FuseArchiveSettings) -> dict[str, Any]:
    """Choose the pairs over which each camera's transform is estimated.

    Args:
        todo: The plan's pairs.
        settings: What a camera is called; where that isn't set, nothing is chosen.

    Returns:
        ``Samples``: at most ``PAIRS`` of each camera, by a digest of their ids, which spreads them
        over the night.
    """
    if settings.registration_by is None:
        return {}
    names = CameraNames(settings)
    chosen: dict[str, list[tuple[int, str, PairRef]]] = {}
    for batch in todo.to_batches():
        for row in batch.to_pylist():
            ref = PairRef(**{name: row[name] for name in _REF})
            digest = hashlib.sha256(ref.pair_id.encode()).digest()
            entry = -int.from_bytes(digest[:8], "big"), ref.pair_id, ref
            mine = chosen.setdefault(names.of(ref.ir_path), [])
            push = heapq.heappush if len(mine) < PAIRS else heapq.heappushpop
            push(mine, entry)
    return {
        camera: tuple(ref for _, _, ref in sorted(mine, key=lambda entry: entry[1]))
        for camera, mine in chosen.items()
    }


class Cameras:
    """The cameras of a run, as one worker knows them; safe to use from many threads.

    Args:
        output: Where the table is.
        settings: The run's settings.
        settings_hash: Theirs.
        samples: Pairs of each camera, of ``sample_pairs``.
        load: Loads a pair's images.
    """

    def __init__(
        self,
        output: Storage,
        settings: FuseArchiveSettings,
        settings_hash: str,
        *,
        samples: Samples,
        load: Callable[[PairRef], PicturePair],
    ):
        self._output, self._settings, self._hash = output, settings, settings_hash
        self._samples, self._load = samples, load
        self._names = CameraNames(settings)
        self._known: dict[str, CameraTransform | None] = {}
        self._lock = threading.Lock()
        self._at_work: dict[str, threading.Lock] = {}

    def of(self, ref: PairRef) -> tuple[str, CameraTransform | None]:
        """Return the name and the transform of a pair's camera; None where that isn't sure.

        Raises:
            StorageError: The store failed.
            ManifestError: What lies in the table can't be read.
        """
        camera = self._names.of(ref.ir_path)
        with self._lock:
            at_work = self._at_work.setdefault(camera, threading.Lock())
        with at_work:
            if camera not in self._known:
                self._known[camera] = self._find(camera)
            return camera, self._known[camera]

    def _find(self, camera: str) -> CameraTransform | None:
        path = camera_path(self._hash, camera)
        if self._output.exists(path):
            return read_camera(self._output, path)
        found = self._estimate(camera)
        if found is None or self._output.create(path, _written(camera, found)):
            return found
        return read_camera(self._output, path)  # another worker was first

    def _estimate(self, camera: str) -> CameraTransform | None:
        matrices: list[Matrix] = []
        size, limit = (0, 0), 0.0
        for ref in self._samples.get(camera, ()):
            with suppress(PairError):  # its own row will tell
                one = transform_of(self._load(ref), self._settings)
                if size in ((0, 0), one.size) and one.matrix is not None:
                    size, limit = one.size, one.limit
                    matrices.append(one.matrix)
        return agreed(matrices, size, limit)


def read_camera(output: Storage, path: str) -> CameraTransform:
    """Read a camera's transform.

    Raises:
        ManifestError: The file isn't one.
        StorageError: The store failed.
    """
    try:
        table = pq.read_table(io.BytesIO(output.read(path, most=_LONGEST)), partitioning=None)
        (row,) = table.cast(CAMERA_SCHEMA).to_pylist()
        matrix = np.array(row["registration_matrix"], np.float64).reshape(3, 3)
        size = int(row["height"]), int(row["width"])
        if not mean_distance(matrix, *size) < max(size) / 2:  # nor where it is not a number
            raise ValueError(f"by its matrix {matrix.tolist()} little is left of an image")
        return CameraTransform(matrix, float(row["registration_score"]), int(row["pairs"]), size)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise ManifestError(
            f"{output.url(path)} is no transform of a camera: {error}; expected one row with the "
            f"columns {', '.join(CAMERA_SCHEMA.names)}. Remove it, and the next run estimates anew"
        ) from error


def _written(camera: str, found: CameraTransform) -> bytes:
    x, y = shift_of(found.matrix, *found.size)
    row = {
        "camera": camera,
        "registration": "corrected" if found.moves else "aligned",
        "shift_x": x,
        "shift_y": y,
        "registration_score": found.score,
        "registration_matrix": found.matrix.ravel().tolist(),
        "pairs": found.pairs,
        "height": found.size[0],
        "width": found.size[1],
    }
    body = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([row], CAMERA_SCHEMA), body)
    return body.getvalue()
