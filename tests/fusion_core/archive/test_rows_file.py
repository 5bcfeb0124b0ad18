"""A file of rows that is written anew keeps its row groups, and goes on growing."""

import io

import pyarrow.parquet as pq
from catalogued_scenes import scene_row, scene_rows

from fusion_core.archive.rows_file import can_grow, grown, written
from fusion_core.archive.schema import PART_SCHEMA


def test_row_groups_without_rows_stay_row_groups() -> None:
    some, none = scene_rows(scene_row("a"), scene_row("b")), scene_rows()
    body = written(PART_SCHEMA, [some, none, some])
    assert can_grow("manifest/x.parquet", body, 3)
    metadata = pq.read_metadata(io.BytesIO(grown(body, some)))
    rows = [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]
    assert rows == [2, 0, 2, 2]


def test_a_file_of_the_schema_before_grows_by_its_own_columns_and_by_no_new_run() -> None:
    """As a run of that version promised it, before it died in the middle."""
    before = PART_SCHEMA.remove(PART_SCHEMA.get_field_index("outline"))
    before = before.with_metadata({"schema_version": "5"})
    rows = scene_rows(scene_row("a", outline=b"x"), scene_row("b"))
    body = written(before, [rows.select(before.names).cast(before)])
    assert not can_grow("manifest/x.parquet", body, 1)
    table = pq.read_table(io.BytesIO(grown(body, rows)))
    assert table.schema.equals(before, check_metadata=True)
    assert table["pair_id"].to_pylist() == ["a", "b"] * 2
