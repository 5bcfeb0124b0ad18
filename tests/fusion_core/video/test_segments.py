"""Finished segments of a clip, as they are kept in the output until all of it is done."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from fusion_core.errors import WriteError
from fusion_core.storage.store import Storage
from fusion_core.video.clip import SegmentStart
from fusion_core.video.frame import Faults
from fusion_core.video.matching import Pending
from fusion_core.video.segments import FrameRow, SegmentRecord, SegmentStore
from fusion_core.video.steady import SteadyState

CLIP = "fused/hash/clip.0123.mp4"
THIRD = Fraction(1001, 30_000)


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(f"{tmp_path}/output")


def store_of(output: Storage) -> SegmentStore:
    return SegmentStore(output, CLIP, "cpu")


def file_of(folder: Path, body: bytes = b"frames") -> Path:
    path = folder / "segment.nut"
    path.write_bytes(body)
    return path


def record_of(number: int, *, last: bool = False) -> SegmentRecord:
    start = SegmentStart(20 + number, 7 * THIRD, Pending(Fraction(5, 3), used=True))
    return SegmentRecord(
        number,
        following=None if last else start,
        rows=[
            FrameRow(3, 0.1, None, False, {}),
            FrameRow(4, 1 / 3, 0.30000000000000004, True, {"en": 6.1, "nmi": None}, "nmi: black"),
        ],
        written=2,
        ir_faults=Faults(1, 2, 3, 4, (0.1, 0.7), "it ends", ["broken"]),
        vi_faults=Faults(),
        ir_unused=5,
        ir_last=1.5 if last else None,
        smallest_tile=256,
    )


def state_of(age: int) -> SteadyState:
    small = np.random.default_rng(age).random((32, 32)).astype(np.float32)
    return SteadyState(thumbnails=(small, small.T.copy()), change=(0.1, 1 / 3), age=age)


def assert_states_equal(one: SteadyState, other: SteadyState) -> None:
    assert (one.age, one.change) == (other.age, other.change)
    assert one.thumbnails is not None
    assert other.thumbnails is not None
    for a, b in zip(one.thumbnails, other.thumbnails, strict=True):
        assert np.array_equal(a, b)


def test_segments_are_found_again_as_they_were_kept(output: Storage, tmp_path: Path) -> None:
    store = store_of(output)
    assert store.known() == ([], SteadyState())
    kept = []
    for number in range(3):
        body = b"frames of %d" % number
        record = record_of(number, last=number == 2)
        found, state = store.keep(record, state_of(number), file_of(tmp_path, body))
        assert found is record
        assert_states_equal(state, state_of(number))
        kept.append(found)
    records, state = store_of(output).known()
    assert records == kept
    assert_states_equal(state, state_of(2))
    for number, record in enumerate(records):
        store.download(record, tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == b"frames of %d" % number
        assert record.size == len(b"frames of 0")
    assert {one["path"].rpartition("/")[0] for one in output.list().to_pylist()} == {"fused/hash"}


def test_behind_the_last_segment_no_more_are_looked_for(output: Storage, tmp_path: Path) -> None:
    store = store_of(output)
    store.keep(record_of(0, last=True), state_of(0), file_of(tmp_path))
    store.keep(record_of(1, last=True), state_of(1), file_of(tmp_path))
    records, _ = store.known()
    assert [record.number for record in records] == [0]


def test_whoever_is_second_goes_on_with_the_firsts(output: Storage, tmp_path: Path) -> None:
    first, _ = store_of(output).keep(record_of(0), state_of(1), file_of(tmp_path, b"first"))
    other = replace(record_of(0), written=9)
    found, state = store_of(output).keep(other, state_of(2), file_of(tmp_path, b"second"))
    assert found == first
    assert_states_equal(state, state_of(1))
    store_of(output).download(found, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"first"


def test_a_segment_whose_frames_are_gone_is_fused_again(output: Storage, tmp_path: Path) -> None:
    store = store_of(output)
    kept, _ = store.keep(record_of(0), state_of(1), file_of(tmp_path))
    output.remove(kept.path)
    assert store.known() == ([], SteadyState())
    # Other frames than those would have a name of their own; the same take the place they had.
    again, _ = store.keep(record_of(0), state_of(1), file_of(tmp_path))
    assert again == kept
    assert store.known()[0] == [kept]


@pytest.mark.parametrize("body", [b"", b"no record", b"\x08\0\0\0\0\0\0\0{}      " + b"x" * 9])
def test_a_damaged_record_is_told_with_what_to_do(output: Storage, body: bytes) -> None:
    store = store_of(output)
    output.write(store.record_path(0), body)
    told = r"clip\.0123\.segment-00000\.safetensors is no record of a segment: .* Remove it; the"
    with pytest.raises(WriteError, match=told):
        store.known()


def test_records_of_another_version_are_passed_over(output: Storage, tmp_path: Path) -> None:
    store = store_of(output)
    store.keep(record_of(0), state_of(1), file_of(tmp_path))
    path = store.record_path(0)
    output.write(path, output.read(path).replace(b'\\"version\\": 1', b'\\"version\\": 9'))
    assert store.known() == ([], SteadyState())
    again, _ = store.keep(record_of(0), state_of(1), file_of(tmp_path))  # and written over
    assert store.known()[0] == [again]


def test_other_bytes_under_a_segments_name_are_refused(output: Storage, tmp_path: Path) -> None:
    store = store_of(output)
    kept, _ = store.keep(record_of(0), state_of(1), file_of(tmp_path))
    output.write(kept.path, b"planted")
    told = f"holds other bytes than its record says; expected the sha256 {kept.sha256}. Remove it"
    with pytest.raises(WriteError, match=told):
        store.download(kept, tmp_path / "back")


@pytest.mark.parametrize("victim", ["manifest/rows.parquet", "../elsewhere", CLIP])
def test_a_record_that_names_other_files_is_not_followed(
    output: Storage, tmp_path: Path, victim: str
) -> None:
    store = store_of(output)
    kept, _ = store.keep(record_of(0), state_of(1), file_of(tmp_path))
    body = output.read(store.record_path(0))
    size = int.from_bytes(body[:8], "little")
    told = json.loads(body[8 : 8 + size])["__metadata__"]["segment"]
    told = told.replace(kept.path, victim)
    output.write(store.record_path(0), save(load(body), {"segment": told}))
    with pytest.raises(WriteError, match=r"it names the frames of something else\. Remove it"):
        store.known()


def test_segments_are_removed_with_their_records(output: Storage, tmp_path: Path) -> None:
    store = store_of(output)
    output.write(CLIP, b"the clip")
    for number in range(2):
        body = b"%d" % number
        store.keep(record_of(number, last=number == 1), state_of(1), file_of(tmp_path, body))
    records, _ = store.known()
    store.remove(records)
    assert [row["path"] for row in output.list().to_pylist()] == [CLIP]
    assert store.known() == ([], SteadyState())
