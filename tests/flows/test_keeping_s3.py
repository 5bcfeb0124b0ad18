"""Housekeeping over HTTP: an output in a bucket is checked, cleaned and made to forget a pair."""

import io
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archive_fixture import ArchiveFixture
from command_line import called

from fusion_core.archive.index.state import newest_state
from fusion_core.storage.store import Storage

pytestmark = pytest.mark.s3
ORPHAN = "fused/0123/z.0123456789abcdef.png"
GONE = "c/d"


def paths(output: Storage, folder: str) -> set[str]:
    return set(output.list(folder)["path"].to_pylist())


def ids(output: Storage, folder: str) -> list[str]:
    """Return the pair ids of all rows below a folder."""
    files = [path for path in paths(output, folder) if path.endswith(".parquet")]
    tables = [pq.read_table(io.BytesIO(output.read(path))) for path in files]
    return sorted(one for table in tables for one in table["pair_id"].to_pylist())


def test_an_output_in_a_bucket_is_kept_in_order(
    s3_bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = ArchiveFixture(f"s3://{s3_bucket}")
    archive.publish(tmp_path)
    output, where = archive.output, ("--output", archive.settings.output)
    images = paths(output, "fused/")

    def does(*words: str) -> str:
        status, text = called(capsys, words[0], *where, *words[1:])
        assert status == 0, text
        return text

    assert "Nothing was found." in does("check", "--deep")
    output.write(ORPHAN, b"1234")
    status, text = called(capsys, "check", *where)
    assert (status, "## image of no row: 1" in text, ORPHAN in text) == (1, True, True)

    assert "## images: 1 objects, 4 bytes" in does("clean", "--kinds", "images")
    assert paths(output, "fused/") == {*images, ORPHAN}
    assert "is removed" in does("clean", "--kinds", "images", "--yes")
    assert paths(output, "fused/") == images

    assert "# 0 objects" in does("clean", "--forget", GONE, "--yes")
    assert images > paths(output, "fused/") == {path for path in images if f"/{GONE}." not in path}
    for folder in ("manifest/", "commits/manifest/"):
        assert ids(output, folder) == ["a", "b", "e"]

    before, _ = newest_state(output, "manifest")
    output.write(f"commits/index/manifest/{before + 1:08}.json", b"damaged")
    assert "- manifest: 3 rows in 1 shards" in does("index")
    assert newest_state(output, "manifest")[1].rows == 3
    assert "Nothing was found." in does("check", "--deep")
