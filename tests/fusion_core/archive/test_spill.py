"""Tables in local files: what is written is read, whatever it is written in."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusion_core.archive.spill import SpillWriter, engine, query, show, spill

SCHEMA = pa.schema([("name", pa.string()), ("number", pa.int64())])


def rows(first: int, count: int, name: str = "x") -> pa.Table:
    return pa.table({"number": range(first, first + count), "name": [name] * count}).select(
        SCHEMA.names
    )


def test_many_small_tables_share_row_groups_and_keep_their_order(tmp_path: Path) -> None:
    written = spill(tmp_path, SCHEMA, (rows(16 * k, 16) for k in range(3000)))
    assert written.read()["number"].to_pylist() == list(range(48_000))
    assert pq.ParquetFile(written.path).num_row_groups == 3
    assert len(written) == 48_000


def test_long_texts_are_not_held_until_there_are_many(tmp_path: Path) -> None:
    written = spill(tmp_path, SCHEMA, (rows(k, 1, "x" * (1 << 20)) for k in range(20)))
    assert pq.ParquetFile(written.path).num_row_groups == 3


def test_what_was_held_is_there_after_the_writer_is_closed_or_finished(tmp_path: Path) -> None:
    with SpillWriter(tmp_path, SCHEMA) as writer:
        writer.write(rows(0, 3).to_batches()[0])
        writer.write(rows(3, 0))
        assert writer.finish().read()["number"].to_pylist() == [0, 1, 2]
    with SpillWriter(tmp_path, SCHEMA) as writer:
        writer.write(rows(0, 2))
    assert pq.read_table(writer.path)["number"].to_pylist() == [0, 1]
    assert len(spill(tmp_path, SCHEMA, [])) == 0


@pytest.mark.parametrize("folder", ["plain", "o'clock"])
def test_queries_join_spilled_tables_with_those_in_memory(tmp_path: Path, folder: str) -> None:
    (tmp_path / folder).mkdir()
    spilled = spill(tmp_path / folder, SCHEMA, [rows(5, 4)])
    with engine(tmp_path) as connection:
        show(connection, spilled=spilled, other=rows(7, 9))
        sql = """
            SELECT number, file_row_number AS place FROM spilled SEMI JOIN other USING (number)
            ORDER BY number DESC
        """
        found = query(connection, tmp_path, sql).read()
    assert found.to_pylist() == [{"number": 8, "place": 3}, {"number": 7, "place": 2}]
