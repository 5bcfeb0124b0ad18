"""A file of rows that is written anew keeps its row groups, and goes on growing."""

import io

import pyarrow.parquet as pq
from catalogued_scenes import scene_row, scene_rows

from fusion_core.archive.rows_file import can_grow, grown, written
from fusion_core.archive.schema import PART_SCHEMA


def test_row_groups_without_rows_stay_row_groups() -> None:
    some, none = scene_rows(scene_row("a"), scene_row("b")), scene_rows()
    body = written(PART_SCHEMA, [some, none, some])
    assert can_grow(body, 3)
    metadata = pq.read_metadata(io.BytesIO(grown(body, some)))
    rows = [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]
    assert rows == [2, 0, 2, 2]
