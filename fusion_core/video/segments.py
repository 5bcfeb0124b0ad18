"""Keeps finished segments of a clip in the output, until all of it is done.

A segment is two objects beside the fused clip to be: its frames, in a file whose name holds its
digest, and a record with their scores and all that the next segment needs. The record is created
exclusively and last, so that it is what counts; whoever takes a clip up goes on behind the last.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from fusion_core.archive.layout import path_beside
from fusion_core.errors import WriteError
from fusion_core.storage.errors import as_pair_error
from fusion_core.storage.local import file_sha256
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile
from fusion_core.video.clip import SegmentStart
from fusion_core.video.frame import Faults
from fusion_core.video.matching import Pending
from fusion_core.video.steady import SteadyState
from fusion_core.video.steady_arrays import from_arrays, to_arrays

_VERSION = 1


@dataclass(frozen=True)
class FrameRow:
    """One visible frame of a clip, as its table of frames tells of it.

    Attributes:
        frame: Its number, from 0.
        time: When it is shown, in seconds.
        ir_time: When its infrared frame is shown by that side's clock; None where there is none.
        cut: Whether it is the first after a cut.
        scores: The metrics by name, None where one is undefined; empty where it wasn't fused.
        undefined: Why, if one is.
    """

    frame: int
    time: float
    ir_time: float | None
    cut: bool
    scores: dict[str, float | None]
    undefined: str | None = None


@dataclass
class SegmentRecord:
    """What is kept of a finished segment beside its frames.

    Attributes:
        number: Of the segment, from 0.
        path: Of its file of frames, below the output.
        sha256: Of that file's bytes, in hex.
        size: Its size in bytes.
        following: Where the next segment begins; None after the last.
        rows: Its frames, also those that were left out.
        written: Number of frames in its file.
        ir_faults: What of the infrared side could not be read.
        vi_faults: Likewise of the visible one.
        ir_unused: Infrared frames that no visible one took.
        ir_last: When the last infrared frame is shown, in seconds; None before the last segment.
        smallest_tile: In pixels; None where every frame was fused whole.
        overlaps: Sum over its fused frames of the share of pixels that was fused.
    """

    number: int
    path: str = ""
    sha256: str = ""
    size: int = 0
    following: SegmentStart | None = None
    rows: list[FrameRow] = field(default_factory=list)
    written: int = 0
    ir_faults: Faults = field(default_factory=Faults)
    vi_faults: Faults = field(default_factory=Faults)
    ir_unused: int = 0
    ir_last: float | None = None
    smallest_tile: int | None = None
    overlaps: float = 0.0


class SegmentStore:
    """The segments of one clip in the output.

    Args:
        output: The store.
        clip_path: Path of the fused clip to be.
        device: Where the states of what fuses are wanted, as torch names it.
    """

    def __init__(self, output: Storage, clip_path: str, device: str):
        self._output, self._device = output, device
        self._stem = clip_path.rpartition(".")[0]

    def record_path(self, number: int) -> str:
        """Return the path of a segment's record."""
        return f"{self._stem}.segment-{number:05}.safetensors"

    def known(self) -> tuple[list[SegmentRecord], SteadyState]:
        """Return the segments that are finished, in order, and the state that the last one left.

        Raises:
            StorageError: The store failed.
        """
        records: list[SegmentRecord] = []
        state = SteadyState()
        while (found := self._read(len(records))) is not None:
            record, state = found
            records.append(record)
            if record.following is None:
                break
        return records, state

    def keep(
        self, record: SegmentRecord, state: SteadyState, local: Path
    ) -> tuple[SegmentRecord, SteadyState]:
        """Keep a segment.

        Args:
            record: What is to be known of it.
            state: What it leaves to the next.
            local: Its frames.

        Returns:
            The record and the state that count: another worker's where that was first.

        Raises:
            PairError: The segment can't be written.
            UnreachableError: The store gives no answer.
        """
        record.sha256, record.size = file_sha256(local), local.stat().st_size
        record.path = self._frames_path(record.number, record.sha256)
        arrays, rest = to_arrays(state)
        told = json.dumps({**_as_json(record), "state": rest, "version": _VERSION})
        body = save(arrays, {"segment": told})
        with as_pair_error(WriteError):
            self._output.create_file(record.path, local)
            if self._output.create(self.record_path(record.number), body):
                # What is gone on with is what whoever reads the record goes on with.
                return record, from_arrays(arrays, rest, self._device)
            found = self._read(record.number)
            if found is None:  # of another version, or its frames are gone: nobody goes on with it
                self._output.write(self.record_path(record.number), body)
                found = record, from_arrays(arrays, rest, self._device)
        return found

    def download(self, record: SegmentRecord, local: Path) -> None:
        """Bring the frames of a segment here, and check that they are what was written.

        Raises:
            PairError: They are gone, or others.
            UnreachableError: The store gives no answer.
        """
        with as_pair_error(WriteError):
            self._output.download(record.path, local)
        if file_sha256(local) != record.sha256:
            raise WriteError(
                f"{self._output.url(record.path)} holds other bytes than its record says; expected "
                f"the sha256 {record.sha256}. Remove it and the segment's record, and see who can "
                "write to the output"
            )

    def remove(self, records: Sequence[SegmentRecord]) -> None:
        """Remove segments, whose clip is committed.

        Raises:
            StorageError: The store failed; what is left is for a clean.
        """
        for record in reversed(records):
            self._output.remove(self.record_path(record.number))
            self._output.remove(record.path)

    def _read(self, number: int) -> tuple[SegmentRecord, SteadyState] | None:
        """Return a segment's record and state; None where it isn't finished."""
        try:
            body = StoredFile(self._output, self.record_path(number)).read()
        except FileNotFoundError:
            return None
        try:
            arrays = load(body)
            size = int.from_bytes(body[:8], "little")
            told = json.loads(json.loads(body[8 : 8 + size])["__metadata__"]["segment"])
            if told["version"] != _VERSION:
                return None
            record, state = _of_json(told), from_arrays(arrays, told["state"], self._device)
            # Its path is read and removed: what lies elsewhere is none of this clip's.
            if (record.number, record.path) != (number, self._frames_path(number, record.sha256)):
                raise ValueError("it names the frames of something else")
        except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WriteError(
                f"{self._output.url(self.record_path(number))} is no record of a segment: {error}. "
                "Remove it; the segment is fused again"
            ) from error
        return (record, state) if self._output.exists(record.path) else None

    def _frames_path(self, number: int, sha256: str) -> str:
        """Return the path of a segment's frames, which have that digest."""
        return path_beside(f"{self._stem}.segment-{number:05}.nut", sha256)


def _as_json(record: SegmentRecord) -> dict[str, Any]:
    told = asdict(record)
    if record.following is not None:
        start, pending = record.following, record.following.pending
        told["following"] = {
            "number": start.number,
            "time": _exact(start.time),
            "pending": {"time": _exact(pending.time), "used": pending.used},
        }
    return told


def _of_json(told: dict[str, Any]) -> SegmentRecord:
    told = {name: value for name, value in told.items() if name not in ("state", "version")}
    following = told.pop("following")
    start = None
    if following is not None:
        pending = following["pending"]
        start = SegmentStart(
            following["number"],
            _fraction(following["time"]),
            Pending(_fraction(pending["time"]), pending["used"]),
        )
    rows = [FrameRow(**row) for row in told.pop("rows")]
    for side in ("ir_faults", "vi_faults"):
        faults = told[side]
        told[side] = Faults(**{**faults, "longest": tuple(faults["longest"])})
    return SegmentRecord(**told, rows=rows, following=start)


def _exact(time: Fraction | None) -> str | None:
    return None if time is None else f"{time.numerator}/{time.denominator}"


def _fraction(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)
