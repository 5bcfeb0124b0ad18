from pathlib import Path

import pyarrow as pa
import pytest
from catalogued_scenes import scene_row, scene_rows
from published_rows import DAY, lay_part_of_before, publish

from fusion_core.archive.layout import rows_path
from fusion_core.archive.lease_record import LeaseRecord, write_record
from fusion_core.archive.publications import Publication, create_publication
from fusion_core.archive.published_rows import (
    Mark,
    VersionBeforeError,
    last_mark,
    published_since,
    read_before,
    read_row_groups,
)
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    """An output with two parts of a version before, and three row groups of two runs."""
    output = Storage(str(tmp_path))
    lay_part_of_before(output, "0", [scene_row("a")])
    lay_part_of_before(output, "1", [scene_row("b")])
    publish(output, 1, [scene_rows(scene_row("c")), scene_rows(scene_row("d"))])
    publish(output, 2, [scene_rows(scene_row("e"))])
    return output


def names(tables: list[pa.Table]) -> str:
    return "".join(sorted(name for table in tables for name in table["pair_id"].to_pylist()))


def since(output: Storage, mark: Mark) -> str:
    groups, _ = published_since(output, mark)
    return names(list(read_row_groups(output, groups, ["pair_id"])))


def before(output: Storage, mark: Mark) -> str:
    groups, _ = published_since(output, mark)
    return names(list(read_before(output, groups, ["pair_id"])))


@pytest.mark.parametrize(
    ("generation", "number", "come"),
    [(0, 0, "cde"), (1, 0, "cde"), (1, 1, "de"), (1, 2, "e"), (2, 1, "")],
)
def test_a_moment_parts_what_was_there_from_what_came(
    output: Storage, generation: int, number: int, come: str
) -> None:
    mark = Mark(generation=generation, number=number)
    assert since(output, mark) == come
    assert before(output, mark) == "".join(name for name in "abcde" if name not in come)
    assert published_since(output, mark)[1] == last_mark(output) == Mark(generation=2, number=1)


def test_runs_that_published_nothing_or_something_else_are_passed_over(output: Storage) -> None:
    mark = last_mark(output)
    publish(output, 3, [])
    publish(output, 4, [scene_rows(scene_row("x"))], table="scores")
    assert create_publication(output, 4, 2, Publication(closed_by="run5"))
    publish(output, 5, [scene_rows(scene_row("f"))])
    assert since(output, mark) == "f"
    assert last_mark(output) == Mark(generation=5, number=1)


def test_an_output_that_nobody_published_to_has_a_moment_too(tmp_path: Path) -> None:
    output = Storage(str(tmp_path))
    assert last_mark(output) == Mark()
    assert published_since(output, Mark()) == ({}, Mark())


def test_a_run_of_a_version_before_is_an_error_of_its_own(output: Storage) -> None:
    mark = last_mark(output)
    write_record(output, 3, LeaseRecord(run_id="old", host="h", token="t", seconds=1))
    with pytest.raises(VersionBeforeError, match="old wrote"):
        published_since(output, mark)
    assert published_since(output, Mark(generation=3))[0] == {}


def test_a_file_that_is_missing_is_named(output: Storage) -> None:
    output.remove(rows_path(DAY, 2, 1))
    with pytest.raises(ManifestError, match=r"rows-00000002-0001.parquet is missing"):
        since(output, Mark())
