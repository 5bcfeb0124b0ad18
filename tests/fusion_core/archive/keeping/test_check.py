"""A sound output has no findings; each kind of violation that is planted is found, and named."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_fixture import NAMES, ArchiveFixture
from audited_publications import publications
from tiny import TODAY

from fusion_core.archive.keeping.check import Finding, check
from fusion_core.archive.layout import part_path
from fusion_core.archive.lease import acquire
from fusion_core.archive.parts import commit_part, read_part
from fusion_core.archive.publications import publication_path
from fusion_core.archive.rows_file import grown


def findings(archive: ArchiveFixture, tmp_path: Path, *, deep: bool = False) -> dict[str, Finding]:
    scratch = tmp_path / "scratch"
    scratch.mkdir(exist_ok=True)
    found = check(archive.output, scratch, deep=deep, tell=lambda _: None)
    return {one.kind: one for one in found}


def rows_file(archive: ArchiveFixture) -> Path:
    (path,) = archive.output.list("manifest/")["path"].to_pylist()
    return Path(archive.output.fs_path(path))


def an_image(archive: ArchiveFixture) -> Path:
    path = archive.output.list("fused/")["path"].to_pylist()[0]
    return Path(archive.output.fs_path(path))


def rows_again(archive: ArchiveFixture) -> None:
    path = rows_file(archive)
    shutil.copy(path, path.with_name("rows-00000001-0002.parquet"))


def done_again(archive: ArchiveFixture) -> None:
    path = rows_file(archive)
    table = pq.read_table(path, partitioning=None)
    run = pa.array(["other"] * len(table), pa.string())
    table = table.set_column(table.schema.get_field_index("run_id"), "run_id", run)
    path.with_name("rows-00000001-0002.parquet").write_bytes(grown(b"", table))


def attempt_again(archive: ArchiveFixture) -> None:
    path = rows_file(archive)
    table = pq.read_table(path, partitioning=None)
    for name in ("run_id", "status"):
        values = pa.array([{"status": "failed"}.get(name, "other")] * len(table), pa.string())
        table = table.set_column(table.schema.get_field_index(name), name, values)
    path.with_name("rows-00000001-0002.parquet").write_bytes(grown(b"", table))


def image_gone(archive: ArchiveFixture) -> None:
    an_image(archive).unlink()


def image_longer(archive: ArchiveFixture) -> None:
    with an_image(archive).open("ab") as file:
        file.write(b"x")


def image_of_nobody(archive: ArchiveFixture) -> None:
    archive.output.write("fused/0123/z.0123456789abcdef.png", b"x")


def file_lost_rows(archive: ArchiveFixture) -> None:
    part = read_part(archive.output, part_path(TODAY, "0a"))
    rows_file(archive).write_bytes(grown(b"", part))


def commit_unpublished(archive: ArchiveFixture) -> None:
    rows = read_part(archive.output, part_path(TODAY, "0a")).to_pylist()
    assert commit_part(archive.output, part_path(TODAY, "0c"), rows)


def unreadable(archive: ArchiveFixture) -> None:
    archive.output.write("manifest/date=2026-01-01/part-0a.parquet", b"PAR1 and no more")


def stray(archive: ArchiveFixture) -> None:
    archive.output.write("manifest/date=2026-01-01/notes.txt", b"mine")


def temporary(archive: ArchiveFixture) -> None:
    archive.output.write("fused/.0123.tmp", b"half")


PLANTED: dict[str, Callable[[ArchiveFixture], None]] = {
    "row twice": rows_again,
    "done twice": done_again,
    "attempt twice": attempt_again,
    "image missing": image_gone,
    "image of another size": image_longer,
    "image of no row": image_of_nobody,
    "file of no record": rows_again,
    "rows not in the file": file_lost_rows,
    "not published": commit_unpublished,
    "unreadable": unreadable,
    "stray object": stray,
    "temporary": temporary,
}


AUDITED = {
    **{kind: PLANTED[kind] for kind in ("row twice", "done twice", "attempt twice")},
    **{kind: PLANTED[kind] for kind in ("rows not in the file", "not published")},
    "file gone": lambda archive: rows_file(archive).unlink(),
    "record gone": lambda archive: archive.output.remove(publication_path(1, 1)),
    "record torn": lambda archive: archive.output.write(publication_path(1, 2), b"half"),
}
"""What the auditor of the chaos suite knows too, which shares no code with this package."""


def audited(archive: ArchiveFixture) -> list[str]:
    root = Path(archive.output.fs_path(""))
    keys = [str(path.relative_to(root.parent)) for path in root.rglob("*") if path.is_file()]
    return publications(root.name, keys, lambda key: (root.parent / key).read_bytes()).violations


def test_a_sound_output_has_no_findings(archive: ArchiveFixture, tmp_path: Path) -> None:
    assert findings(archive, tmp_path, deep=True) == {}
    assert audited(archive) == []


@pytest.mark.parametrize("kind", AUDITED)
def test_the_auditor_agrees(kind: str, archive: ArchiveFixture, tmp_path: Path) -> None:
    AUDITED[kind](archive)
    assert findings(archive, tmp_path)
    assert audited(archive)


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_violation_is_found(kind: str, archive: ArchiveFixture, tmp_path: Path) -> None:
    PLANTED[kind](archive)
    found = findings(archive, tmp_path)
    assert found[kind].count == len(found[kind].first) > 0


def test_an_image_of_other_bytes_is_found_by_reading_it(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    path = an_image(archive)
    path.write_bytes(bytes(path.stat().st_size))
    assert findings(archive, tmp_path) == {}
    (text,) = findings(archive, tmp_path, deep=True)["image of other bytes"].first
    assert path.name in text


def test_while_a_run_is_at_work_its_commits_may_be_unpublished(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    commit_unpublished(archive)
    lease = acquire(lambda: archive.output, "next", seconds=60, wait=False)
    assert "not published" not in findings(archive, tmp_path)
    lease.release()
    assert "not published" in findings(archive, tmp_path)


def test_the_pairs_are_those_of_the_fixture(archive: ArchiveFixture) -> None:
    table = pq.read_table(rows_file(archive), partitioning=None)
    assert table["pair_id"].to_pylist() == list(NAMES)
