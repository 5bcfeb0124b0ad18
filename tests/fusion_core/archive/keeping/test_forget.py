"""A pair is forgotten wherever an output names it; others stay; what is left is found."""

import io
import itertools
import json
import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_fixture import NAMES, ArchiveFixture
from blind_publisher import begin, end
from manifest_rows import row
from mortal_storage import Killed, Mortal
from tiny import TODAY

from fusion_core.archive.keeping.check import Finding, check
from fusion_core.archive.keeping.forget import JOURNAL, Search, begun_before, forget, search_for
from fusion_core.archive.layout import part_path
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import commit_part, read_part
from fusion_core.archive.publications import publications
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

GONE = "c/d"
RUN, OTHER = "runs/20261101T020000Z-0123abcd", "runs/20261102T020000Z-0123abcd"
pytestmark = pytest.mark.usefixtures("still")


def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def no_catalogs(_: Storage) -> None:
    """As in an output without scenes."""


def forgotten(output: Storage, tmp_path: Path, ids: Collection[str] = (GONE,)) -> Search:
    publisher = begin(output, "forget")
    found = forget(output, ids, scratch(tmp_path), publisher.lease, no_catalogs)
    end(publisher)
    return found


def findings(output: Storage, tmp_path: Path) -> list[Finding]:
    return check(output, scratch(tmp_path), deep=True, tell=lambda _: None)


def paths(output: Storage) -> set[str]:
    return set(output.list()["path"].to_pylist())


def parquet(**columns: Any) -> bytes:
    body = io.BytesIO()
    pq.write_table(pa.table(columns), body)
    return body.getvalue()


@pytest.fixture
def output(archive: ArchiveFixture) -> Storage:
    """The output with what versions and flows of all kinds leave in it."""
    plant(archive.output)
    return archive.output


def plant(output: Storage) -> None:
    failed = [row(name, status="failed") for name in (*NAMES, "x/c/d")]
    assert commit_part(output, "manifest/date=2026-01-01/part-0a.parquet", failed)
    assert commit_part(output, "scores/date=2026-01-01/part-0b.parquet", failed)
    output.write(f"{RUN}/summary.json", json.dumps({"failures": [{"pair_id": GONE}]}).encode())
    output.write(f"{RUN}/contact_sheet.png", b"seen")
    output.write(f"{RUN}/table.csv", b"method,vif\n")
    output.write(f"{OTHER}/summary.json", json.dumps({"failures": ["x/c/d", "cc/d"]}).encode())
    output.write(f"{OTHER}/contact_sheet.png", b"others")
    output.write(f"{OTHER}/details.parquet", parquet(list=["unpaired"], path=["ir/c/d.png"]))
    output.write("runs/run/contact_sheet.png", b"of the run that has its row")
    output.write("fused/0123/c/d.0123456789abcdef.png", b"a dead run's")
    output.write("fused/0123/c/d.0123456789abcdef.quicklook.png", b"a dead run's")


def test_nothing_is_left_of_the_pair_and_all_of_the_others(output: Storage, tmp_path: Path) -> None:
    before = paths(output)
    others = {name: read_manifest(output.url(name), latest=False) for name in ("manifest",)}
    found = forgotten(output, tmp_path)
    assert found.left == ()
    assert sum(found.looked_at.values()) == len(paths(output))
    gone = before - paths(output)
    kept = {f"{OTHER}/summary.json", f"{RUN}/table.csv"}
    assert kept <= paths(output)
    assert {path for path in gone if path.startswith("runs/2")} == {
        f"{RUN}/summary.json",
        f"{RUN}/contact_sheet.png",
        f"{OTHER}/details.parquet",
        f"{OTHER}/contact_sheet.png",
    }
    assert "runs/run/contact_sheet.png" in gone
    assert len([path for path in gone if path.startswith("fused/")]) == 3
    after = read_manifest(output.url("manifest"), latest=False)
    stays = [one for one in others["manifest"].to_pylist() if one["pair_id"] != GONE]
    assert sorted(after.to_pylist(), key=str) == sorted(stays, key=str)
    assert findings(output, tmp_path) == []


def test_commits_and_scores_of_it_are_gone_too(output: Storage, tmp_path: Path) -> None:
    forgotten(output, tmp_path)
    for path in (part_path(TODAY, "0b"), "scores/date=2026-01-01/part-0b.parquet"):
        ids = read_part(output, path)["pair_id"].to_pylist()
        assert ids
        assert GONE not in ids


def test_row_groups_stay_and_records_say_how_many_rows_are_left(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    output = archive.output
    forgotten(output, tmp_path, ("a", "b"))
    rows = [record.rows for _, record in publications(output, 1)]
    assert rows == [0, 2]
    (path,) = [path for path in paths(output) if path.startswith(f"manifest/date={TODAY}/")]
    assert pq.read_metadata(output.fs_path(path)).num_row_groups == 2
    assert read_part(output, path)["pair_id"].to_pylist() == ["c/d", "e"]
    assert findings(output, tmp_path) == []


def test_a_leftover_is_found_in_whatever_form_it_is_written(
    output: Storage, tmp_path: Path
) -> None:
    forms = {
        "notes/1.json": json.dumps({"id": "é/7"}).encode(),
        "notes/2.md": b"see fused/0123/%C3%A9/7.0123456789abcdef.png",
        "notes/3.parquet": parquet(nested=[{"ids": ["x", "é/7"]}]),
        "notes/é/7.bin": b"x",
        "notes/4.csv": "a,é/7,b".encode(),
        "notes/5.parquet": "no Parquet, but é/7".encode(),
    }
    for path, body in forms.items():
        output.write(path, body)
    output.write("notes/others.json", json.dumps({"id": ["é/77", "é/7-b", "bé/7"]}).encode())
    assert forgotten(output, tmp_path, ["é/7"]).left == tuple(sorted(forms))


WORDS = {
    "notes/1.json": b'{"pairs": ["PAIR"]}',
    "notes/2.txt": b"first\nPAIR\nlast",
    "notes/3.md": b"see [it](https://here/ir/PAIR.png)",
    "notes/4.md": b"`PAIR` is gone",
    "notes/5.json": b'{"remarks": ["PAIR: covers 97 %"]}',
}
OTHERWISE = {
    "status": "PAIR",
    "PAIR": 0.5,
    "counts": {"PAIR": 1, "failures": 7},
    "seconds": 7.0,
    "metric_version": "7",
    "remarks": ["a: covers 7 % of PAIR", "a: 1.7", "a/PAIR: a pair of its own"],
    "manifest": "s3://archive-fused/PAIR",
    "file": "manifest/date=2026-11-20/rows-00000001-0001.parquet",
}


@pytest.mark.parametrize(
    "word", ["7", "0001", "1.7", "2026-01-01", "ok", "vif", "date", "manifest", "rows"]
)
def test_a_pair_whose_id_is_a_word_or_number_is_found_where_names_stand(
    output: Storage, tmp_path: Path, word: str
) -> None:
    others = [row(name, status="failed", remark="covers 7 %") for name in ("a", f"a/{word}", "70")]
    assert commit_part(output, "manifest/date=2026-01-01/part-0c.parquet", others)
    otherwise = json.dumps(OTHERWISE).replace("PAIR", word).encode()
    output.write(f"{OTHER}/summary.json", otherwise)
    output.write(f"{OTHER}/summary.md", f"7 {word}, {word}=7\n| vif | 7 |\n".encode())
    assert forgotten(output, tmp_path, [word]).left == ()
    assert output.read(f"{OTHER}/summary.json") == otherwise
    left = {path: body.replace(b"PAIR", word.encode()) for path, body in WORDS.items()}
    left["notes/6.parquet"] = parquet(pair_id=["a", word])
    left["notes/7.parquet"] = parquet(nested=[{"ids": [word]}])
    for path, body in left.items():
        output.write(path, body)
    assert forgotten(output, tmp_path, [word]).left == tuple(sorted(left))


def test_of_runs_only_those_that_had_the_pair_lose_what_they_wrote(
    output: Storage, tmp_path: Path
) -> None:
    failed = [{"pair_id": "1", "stage": "decode", "error_message": "is cut"}]
    output.write(f"{RUN}/summary.json", json.dumps({"failures": failed, "ok": 2}).encode())
    output.write(f"{OTHER}/summary.json", json.dumps({"failures": [], "ok": 1}).encode())
    output.write(f"{OTHER}/details.parquet", parquet(list=["unpaired"], path=["ir/10.png"]))
    others = {path for path in paths(output) if path.startswith(OTHER)}
    assert len(others) == 3
    assert forgotten(output, tmp_path, ["1"]).left == ()
    assert others <= paths(output)
    assert not {f"{RUN}/summary.json", f"{RUN}/contact_sheet.png"} & paths(output)


def test_an_image_that_shares_its_name_with_another_pairs_stays(
    archive: ArchiveFixture, tmp_path: Path
) -> None:
    output = archive.output
    digest = f"{1:016x}"
    mine, of_e = f"fused/0123/e.{digest}.png", output.list("fused/")["path"].to_pylist()
    output.write(mine, b"x")
    found = search_for(output, scratch(tmp_path), ["e"])
    assert mine in found.left
    image = next(path for path in of_e if "/e." in path)
    assert image in found.left
    assert not [path for path in found.left if "/b." in path]


def test_nothing_is_forgotten_while_something_cannot_be_read(
    output: Storage, tmp_path: Path
) -> None:
    output.write("manifest/date=2026-01-02/part-0a.parquet", b"PAR1 and no more")
    before = paths(output)
    with pytest.raises(ManifestError, match="Restore or remove"):
        forgotten(output, tmp_path)
    assert before <= paths(output)
    assert begun_before(output) == (GONE,)  # whoever cleans next goes on with it


def test_a_journal_of_another_make_is_named(output: Storage, tmp_path: Path) -> None:
    output.write(JOURNAL, b"{}")
    with pytest.raises(ManifestError, match="ids of pairs that are being removed"):
        begun_before(output)


@pytest.mark.long
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_call_it_is_finished_by_whoever_comes_next(
    *, after: bool, made: Path, tmp_path: Path
) -> None:
    for at in itertools.count(0, 9):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(made, tmp_path / "copy")
        output = ArchiveFixture(str(tmp_path / "copy")).output
        plant(output)
        mortal = Mortal(output.url(""), at, after=after)
        try:
            forgotten(mortal, tmp_path)
        except Killed:
            begun = begun_before(output)
            assert begun in ((), (GONE,))
            found = forgotten(output, tmp_path, () if begun else (GONE,))
            assert found.left == ()
            assert findings(output, tmp_path) == []
            assert not output.exists(JOURNAL)
        else:
            assert not mortal.dead
            break
