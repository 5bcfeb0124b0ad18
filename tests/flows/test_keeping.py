"""Housekeeping on the command line, called as people call it; no Ray, no Prefect server."""

import hashlib
from pathlib import Path

import pytest
from blind_publisher import StillHeart, begin, commit, end
from command_line import called
from manifest_rows import row
from tiny import TODAY

from flows.cli import main
from flows.keeping import check_output, read_pairs
from fusion_core.archive import lease as lease_module
from fusion_core.archive.index.state import newest_state
from fusion_core.archive.index.update import IndexUpdate
from fusion_core.archive.keeping.forget import JOURNAL
from fusion_core.archive.keeping.superseded import SUPERSEDED_JOURNAL
from fusion_core.archive.layout import part_path
from fusion_core.archive.lease import acquire
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import commit_part
from fusion_core.archive.stored_images import image_path
from fusion_core.errors import SettingsError
from fusion_core.storage.store import Storage

ORPHAN = "fused/0123/z.0123456789abcdef.png"


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """An output with two published pairs and an index, and an image that nobody names."""
    monkeypatch.setattr(lease_module, "Heart", StillHeart)
    output = Storage(str(tmp_path / "output"))
    publisher = begin(output)
    commit(output, publisher, "0a", "p1", "p2")
    end(publisher)
    IndexUpdate(output, "manifest", tmp_path).run(1)
    output.write(ORPHAN, b"1234")
    return output


def test_check_names_what_is_wrong_and_ends_with_1(
    output: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = called(capsys, "check", "--output", output.url(""))
    assert status == 1
    assert "## image of no row: 1" in text
    assert ORPHAN in text
    output.remove(ORPHAN)
    status, text = called(capsys, "check", "--output", output.url(""), "--deep")
    assert (status, "Nothing was found." in text) == (0, True)


def test_check_refuses_a_place_where_there_is_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none"):
        with pytest.raises(SettingsError, match=f"nothing below .*{name}; .* Check the URL"):
            check_output(str(tmp_path / name), None, deep=False)
    assert [*tmp_path.rglob("*")] == [tmp_path / "empty"]


@pytest.mark.parametrize("words", [("index",), ("clean", "--yes"), ("clean", "--forget", "a")])
def test_nothing_is_written_where_there_is_no_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    place = tmp_path / "mistyped"
    with pytest.raises(SystemExit, match="1"):
        main([words[0], "--output", str(place), *words[1:], *["--yes"][: "--forget" in words]])
    assert f"nothing below {place}; expected an output" in capsys.readouterr().err
    assert not place.exists()


def test_check_looks_at_index_catalogue_and_journal(
    output: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    output.write("collection.json", b"no JSON")
    output.write(JOURNAL, b'{"pairs": ["p1"]}')
    part = output.list("manifest/")["path"].to_pylist()[0]
    output.remove(part)
    status, text = called(capsys, "check", "--output", output.url(""))
    assert status == 1
    for kind in ("index differs from the manifest: 2", "catalogue unreadable", "half forgotten"):
        assert kind in text


def test_clean_tells_and_removes_only_when_told_to(
    output: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("clean", "--output", output.url(""), "--kinds", "images, runs")
    status, text = called(capsys, *words)
    assert (status, "## images: 1 objects, 4 bytes" in text) == (0, True)
    assert output.exists(ORPHAN)
    status, text = called(capsys, *words, "--yes")
    assert (status, "is removed" in text) == (0, True)
    assert not output.exists(ORPHAN)


def test_clean_days_say_what_is_old(output: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    part = part_path(TODAY, "0a")
    assert output.exists(part)
    called(capsys, "clean", "--output", output.url(""), "--yes", "--days", "100000")
    assert output.exists(part)
    called(capsys, "clean", "--output", output.url(""), "--yes")
    assert not output.exists(part)


def test_clean_refuses_while_a_run_is_at_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Storage(str(tmp_path / "output"))
    lease = acquire(lambda: output, "run", seconds=5, wait=False)  # its heart beats
    with pytest.raises(SystemExit, match="1"):
        main(["clean", "--output", output.url(""), "--yes"])
    assert "OutputBusyError: run on" in capsys.readouterr().err
    lease.release()


def test_a_pair_is_forgotten_and_what_was_looked_at_is_told(
    output: Storage, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "ids.txt").write_text("p1\n\n")
    words = ("clean", "--output", output.url(""), "--forget", f"@{tmp_path / 'ids.txt'}")
    status, text = called(capsys, *words)
    assert (status, "name the pairs; `--yes` removes that" in text) == (0, True)
    status, text = called(capsys, *words, "--yes")
    assert (status, "# 0 objects" in text) == (0, True)
    assert "commits/\\*.parquet: 2" in text or "commits/*.parquet: 2" in text
    output.write("notes.md", b"I liked p2")
    status, text = called(capsys, "clean", "--output", output.url(""), "--forget", "p2", "--yes")
    assert (status, "notes.md" in text) == (1, True)


def test_clean_goes_on_with_what_was_to_be_forgotten(
    output: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    output.write(JOURNAL, b'{"pairs": ["p1"]}')
    called(capsys, "clean", "--output", output.url(""), "--yes", "--kinds", "temporaries")
    assert not output.exists(JOURNAL)
    _, text = called(capsys, "clean", "--output", output.url(""), "--forget", "p1")
    assert "# 0 objects" in text


def fuse_twice(output: Storage, pair_id: str) -> tuple[str, str]:
    """Publish rows of a pair by two settings; return the paths of their images."""
    body = b"an image"
    told = {"fused_sha256": hashlib.sha256(body).hexdigest(), "fused_bytes": len(body)}
    told |= {"fused_format": "png", "model_hash": "m", "device": "cpu"}
    told |= {"precision": "fp32", "engine": "eager"}
    rows = [row(pair_id, n, attempt=n, settings_hash=f"{n:016x}", **told) for n in (1, 2)]
    first, second = (str(image_path({**one, "fused_url": ""})) for one in rows)
    for path in (first, second):
        output.write(path, body)
    publisher, part = begin(output, "later"), part_path(TODAY, "0b")
    publisher.declare([part])
    assert commit_part(output, part, rows)
    publisher.committed([part])
    end(publisher)
    return first, second


def attempts(output: Storage, pair_id: str) -> list[int]:
    rows = read_manifest(output.url("manifest"), latest=False, filters=[("pair_id", "=", pair_id)])
    return sorted(rows["attempt"].to_pylist())


def test_what_was_fused_again_goes_only_where_its_kind_is_named(
    output: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = fuse_twice(output, "p3")
    words = ("clean", "--output", output.url(""), "--days", "0")
    called(capsys, *words, "--yes")
    assert attempts(output, "p3") == [1, 2]
    words = (*words, "--kinds", "superseded")
    status, text = called(capsys, *words)
    assert (status, "## superseded: 1 objects, 8 bytes" in text) == (0, True)
    assert "## rows of superseded images: 1" in text
    assert "p3: attempt 1 of x, in " in text
    assert output.exists(first)
    status, text = called(capsys, *words, "--yes")
    assert (status, "is removed" in text) == (0, True)
    assert (output.exists(first), output.exists(second)) == (False, True)
    assert attempts(output, "p3") == [2]
    status, text = called(capsys, "check", "--output", output.url(""), "--deep")
    assert (status, "Nothing was found." in text) == (0, True)


def test_whatever_is_cleaned_next_what_was_half_removed_is_told_and_finished(
    output: Storage, capsys: pytest.CaptureFixture[str]
) -> None:
    fuse_twice(output, "p3")
    output.write(SUPERSEDED_JOURNAL, b'{"before": "2100-01-31T00:00:00Z"}')
    status, text = called(capsys, "check", "--output", output.url(""))
    assert (status, "## superseded half removed: 1" in text) == (1, True)
    assert f"{SUPERSEDED_JOURNAL}: 2100-01-31" in text
    called(capsys, "clean", "--output", output.url(""), "--yes", "--kinds", "temporaries")
    assert not output.exists(SUPERSEDED_JOURNAL)
    assert attempts(output, "p3") == [2]


def test_the_index_is_made_anew(output: Storage, capsys: pytest.CaptureFixture[str]) -> None:
    before, _ = newest_state(output, "manifest")
    output.write(f"commits/index/manifest/{before + 1:08}.json", b"damaged")
    status, text = called(capsys, "index", "--output", output.url(""))
    assert (status, "- manifest: 2 rows in 1 shards" in text) == (0, True)
    assert newest_state(output, "manifest")[1].rows == 2


def test_ids_to_forget_are_refused_where_there_are_none(tmp_path: Path) -> None:
    assert read_pairs("a, b/c,a") == ("a", "b/c")
    for text, found in ((" ,", "no pair id"), (f"@{tmp_path}/none", "can't be read")):
        with pytest.raises(SettingsError, match=found):
            read_pairs(text)
