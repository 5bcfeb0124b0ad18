"""Detections have columns of their own, and go through what the manifest goes through."""

import datetime as dt
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusion_core.archive import pieces
from fusion_core.archive.index.state import index_schema
from fusion_core.archive.layout import DETECTIONS_FOLDER, TABLES, part_path
from fusion_core.archive.parts import commit_part, read_part
from fusion_core.archive.pieces import read_pieces
from fusion_core.archive.rows_file import can_grow, grown
from fusion_core.archive.run_rows import RUN_SCHEMA
from fusion_core.archive.schema import MANIFEST_SCHEMA, PART_SCHEMA
from fusion_core.archive.tables import DETECTIONS_SCHEMA, column, part_schema
from fusion_core.storage.store import Storage

DAY = dt.date(2026, 11, 20)
PATH = part_path(DAY, "0a", DETECTIONS_FOLDER)
ROWS_FILE = "detections/date=2026-11-20/rows-00000001-0001.parquet"
NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


def row(pair_id: str, **values: object) -> dict[str, object]:
    texts = ("run_id", "ir_url", "ir_version", "vi_url", "vi_version", "metric_version")
    filled = dict.fromkeys((*texts, "settings_hash", "software_version", "method"), "x")
    sizes = {"ir_bytes": 1, "vi_bytes": 1}
    return {
        **{**filled, **sizes, "pair_id": pair_id, "status": "ok", "started": NOW, "ended": NOW},
        **values,
    }


BOXES = {"x": [1.5, 2.0], "y": [0.0, 1.0], "score": [0.5, 0.25], "class_name": ["car", "person"]}


@pytest.fixture
def output(tmp_path: object) -> Storage:
    return Storage(str(tmp_path))


def test_every_column_has_a_description_and_what_no_row_lacks_is_as_in_the_manifest() -> None:
    assert len(set(DETECTIONS_SCHEMA.names)) == len(DETECTIONS_SCHEMA.names)
    assert all(field.metadata[b"description"] for field in DETECTIONS_SCHEMA)
    needed = {field.name for field in MANIFEST_SCHEMA if not field.nullable}
    assert needed == {field.name for field in DETECTIONS_SCHEMA if not field.nullable}
    assert {*index_schema(DETECTIONS_FOLDER).names} <= {*DETECTIONS_SCHEMA.names}
    for table in TABLES[:2]:
        assert part_schema(f"{table}/date=2026-11-20/x.parquet").equals(PART_SCHEMA)
    with pytest.raises(KeyError, match="no table has a column 'nothing'"):
        column(PATH, "nothing")


def test_boxes_are_read_as_they_were_committed(output: Storage) -> None:
    assert commit_part(output, PATH, [row("a", **BOXES), row("b", x=[], score=[])])
    table = read_part(output, PATH)
    assert table.schema.equals(part_schema(PATH), check_metadata=True)
    first, second = table.to_pylist()
    assert {name: first[name] for name in BOXES} == BOXES
    assert (second["x"], second["y"]) == ([], None)
    # A run's end asks all tables for the same columns.
    own = read_part(output, PATH, RUN_SCHEMA.names)
    assert own["pair_id"].to_pylist() == ["a", "b"]
    assert own["qabf"].null_count == 2


def test_parts_become_a_file_that_grows(output: Storage) -> None:
    commit_part(output, PATH, [row("a", **BOXES)])
    (piece,) = read_pieces(output, [PATH])
    assert piece.folder == "detections/date=2026-11-20"
    body = grown(b"", piece.rows)
    assert can_grow(ROWS_FILE, body, 1)
    assert not can_grow("manifest/date=2026-11-20/rows-00000001-0001.parquet", body, 1)
    table = pq.read_table(io.BytesIO(grown(body, piece.rows)))
    assert table["class_name"].to_pylist() == [BOXES["class_name"]] * 2


def test_a_file_that_is_large_is_sealed_however_few_its_rows(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [part_path(DAY, name, DETECTIONS_FOLDER) for name in ("0a", "0b", "0c")]
    for path in paths:
        commit_part(output, path, [row(path, **BOXES)])
    assert len(list(read_pieces(output, paths))) == 1
    size = read_part(output, paths[0]).nbytes
    monkeypatch.setattr(pieces, "_MOST_BYTES", 2 * size + size // 2)
    assert [piece.parts for piece in read_pieces(output, paths)] == [tuple(paths[:2]), (paths[2],)]
    body = grown(b"", read_part(output, paths[0]))
    monkeypatch.setattr("fusion_core.archive.rows_file.MOST_BYTES", len(body))
    assert not can_grow(ROWS_FILE, body, 1)


def test_lists_are_called_as_parquet_calls_them() -> None:
    kinds = [DETECTIONS_SCHEMA.field(name).type for name in ("x", "class_name")]
    assert all(pa.types.is_list(kind) and kind.value_field.name == "element" for kind in kinds)
