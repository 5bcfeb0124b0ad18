"""The frames of a clip as a table, and what its row tells of them all."""

import io
import math
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.metrics import METRIC_NAMES, METRIC_VERSION
from fusion_core.video.frame_table import (
    FRAMES_SCHEMA,
    clip_scores,
    frame_table,
    worst_frames,
)
from fusion_core.video.segments import FrameRow

FIRST, SECOND, *OTHERS = METRIC_NAMES


def row(frame: int, first: float | None, second: float | None = 1.0, **more: Any) -> FrameRow:
    scores = {**dict.fromkeys(OTHERS, 5.0), FIRST: first, SECOND: second}
    return FrameRow(frame, frame / 25, frame / 25 + 0.01, False, scores, **more)


def alone(frame: int) -> FrameRow:
    return FrameRow(frame, frame / 25, None, False, {})


ROWS = [
    row(0, 4.0, 3.0),
    alone(1),
    row(2, 1.0, None, undefined=f"{SECOND}: black"),
    row(3, 7.0, 2.0),
    row(4, 1.0, 7.0),
]


def test_means_and_the_worst_frames_are_those_of_fused_frames() -> None:
    found = clip_scores(ROWS)
    assert (found[FIRST], found[f"{FIRST}_least"]) == (13 / 4, 1.0)
    assert found[f"{FIRST}_worst_frame"] == 2  # the earlier of two
    assert (found[SECOND], found[f"{SECOND}_least"]) == (4.0, 2.0)
    assert found[f"{SECOND}_worst_frame"] == 3
    assert found[OTHERS[0]] == 5.0
    assert found["metrics_undefined"] == f"{SECOND}: undefined for 1 of 4 frames"
    assert found["metric_version"] == METRIC_VERSION
    assert len(found) == 3 * len(METRIC_NAMES) + 2


def test_a_metric_that_no_frame_has_is_null() -> None:
    found = clip_scores([row(0, None), row(1, None)])
    for name in (FIRST, f"{FIRST}_least", f"{FIRST}_worst_frame"):
        assert found[name] is None
    assert found["metrics_undefined"] == f"{FIRST}: undefined for 2 of 2 frames"
    assert clip_scores([row(0, 1.0)])["metrics_undefined"] is None


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_a_mean_is_exact_whatever_the_order(values: list[float]) -> None:
    rows = [row(number, value) for number, value in enumerate(values)]
    found = clip_scores(rows)
    assert found[FIRST] == math.fsum(values) / len(values)
    assert found[FIRST] == clip_scores(rows[::-1])[FIRST]
    assert found[f"{FIRST}_least"] == min(values)
    assert values[found[f"{FIRST}_worst_frame"]] == min(values)


def test_the_table_has_a_row_for_each_visible_frame() -> None:
    body = frame_table(ROWS)
    found = pq.read_table(io.BytesIO(body))
    assert found.schema.equals(FRAMES_SCHEMA, check_metadata=False)
    assert found.schema.metadata[b"metric_version"] == METRIC_VERSION.encode()
    rows = found.to_pylist()
    assert [one["frame"] for one in rows] == [0, 1, 2, 3, 4]
    assert rows[3]["time"] == 3 / 25
    assert rows[3]["ir_time"] == 3 / 25 + 0.01
    assert rows[1]["ir_time"] is None
    assert {rows[1][name] for name in METRIC_NAMES} == {None}
    assert (rows[2][SECOND], rows[2]["metrics_undefined"]) == (None, f"{SECOND}: black")
    assert body == frame_table(ROWS)


def test_pandas_opens_the_table() -> None:
    found = pd.read_parquet(io.BytesIO(frame_table(ROWS)))
    assert found[FIRST].mean() == clip_scores(ROWS)[FIRST]
    assert found["cut"].dtype == bool


def test_a_clip_of_no_frames_has_an_empty_table() -> None:
    assert pq.read_table(io.BytesIO(frame_table([]))).schema.names == FRAMES_SCHEMA.names
    assert pa.types.is_int32(FRAMES_SCHEMA.field("frame").type)


def test_the_worst_frames_are_those_of_most_metrics_in_their_order() -> None:
    """Frame 0 is the worst by all that are equal everywhere, 2 and 3 by one each."""
    assert [one.frame for one in worst_frames(ROWS, 9)] == [0, 2, 3]
    assert [one.frame for one in worst_frames(ROWS, 2)] == [0, 2]
    assert [one.frame for one in worst_frames(ROWS, 1)] == [0]
    assert worst_frames([alone(0), alone(1)], 4) == []


@pytest.mark.parametrize("count", [1, 3])
def test_no_more_frames_are_shown_than_asked_for(count: int) -> None:
    rows = [row(number, float(-number), float(number)) for number in range(6)]
    assert len(worst_frames(rows, count)) == min(count, 2)
