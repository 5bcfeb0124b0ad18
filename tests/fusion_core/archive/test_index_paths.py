"""Paths of an index are those of the listing, however the source is written in front of them."""

import uuid
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_core.archive.index_paths import below_source, source_roots
from fusion_core.errors import SettingsError
from fusion_core.storage.store import Storage

S3 = ("s3://bucket/x", "s3a://bucket/x")
LOCAL = ("/data/src", "file:///data/src", "local:///data/src", "src")
NAMES = st.lists(st.text(alphabet="ab é.%", min_size=1, max_size=4), min_size=1, max_size=4)


def below(path: str, roots: tuple[str, ...], *listed: str) -> str:
    names = pa.chunked_array([["plain.png"], [path]], pa.string())
    found = below_source(pa.table({"ir": names}), pa.chunked_array([listed], pa.string()), roots)
    assert found["ir"][0].as_py() == "plain.png"
    return str(found["ir"][1].as_py())


@pytest.mark.parametrize(
    "written",
    [
        "ir/1.png",
        "./ir/1.png",
        "ir//1.png",
        "ir/./1.png",
        "ir/x/../1.png",
        "s3://bucket/x/ir/1.png",
        "s3a://bucket/x/ir/1.png",
        "S3://bucket/x/ir/1.png",
        "s3://bucket/x//ir/./1.png",
        "s3://bucket/x/./ir//1.png",
        "../x/ir/1.png",
    ],
)
def test_a_path_is_below_a_bucket_however_it_is_written(written: str) -> None:
    assert below(written, S3) == "ir/1.png"


@pytest.mark.parametrize(
    "written",
    [
        "/data/src/ir/1.png",
        "//data/src//ir/1.png",
        "file:///data/src/ir/1.png",
        "local:///data/src/ir/1.png",
        "src/ir/1.png",
        "./src/ir/1.png",
        "../src/ir/1.png",
        "/data/other/../src/ir/1.png",
    ],
)
def test_a_path_is_below_a_folder_however_it_is_written(written: str) -> None:
    assert below(written, LOCAL) == "ir/1.png"


@pytest.mark.parametrize(
    ("roots", "written"),
    [
        (S3, "s3://other/x/ir/1.png"),
        (S3, "s3://bucket/x2/ir/1.png"),
        (S3, "s3://bucket/x/../ir/1.png"),
        (S3, "gs://bucket/x/ir/1.png"),
        (S3, "/ir/1.png"),
        (S3, "../ir/1.png"),
        (S3, "s3://bucket/x/"),
        (S3, "."),
        (LOCAL, "/data/src2/ir/1.png"),
        (LOCAL, "/data/src/../ir/1.png"),
        (LOCAL, "s3://data/src/ir/1.png"),
        (LOCAL, "../ir/1.png"),
        (LOCAL, "../../etc/passwd"),
    ],
)
def test_a_path_outside_of_the_source_is_refused_with_its_row(
    roots: tuple[str, ...], written: str
) -> None:
    with pytest.raises(SettingsError, match=r"column ir of row 2, which is not below the source"):
        below(written, roots)


@settings(max_examples=60)
@given(folders=NAMES, root=st.sampled_from([*S3, *LOCAL]), slashes=st.sampled_from(["/", "//"]))
def test_a_listed_path_with_the_source_in_front_is_that_path(
    folders: list[str], root: str, slashes: str
) -> None:
    path = "/".join(name for name in folders if name.strip(".")) or "a"
    roots = S3 if root in S3 else LOCAL
    assert below(f"{root}{slashes}{path}", roots, path) == path


@pytest.mark.parametrize("strange", ["a//b.png", "./b.png", "/b.png", "src/b.png", "a/../b.png"])
def test_a_key_that_is_listed_as_it_is_written_stays_so(strange: str) -> None:
    assert below(strange, LOCAL, strange) == strange


def test_the_roots_of_a_folder_are_its_names_with_and_without_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    roots = source_roots(Storage("link/"), "link/")
    assert roots[0] == f"{tmp_path}/link"
    assert {f"{tmp_path}/real", f"file://{tmp_path}/real", "link"} <= {*roots}
    for root in roots:
        assert below(f"{root}/ir/1.png", roots) == "ir/1.png"
    assert below("/a/b.png", source_roots(Storage("/"), "/")) == "a/b.png"


def test_the_roots_of_a_store_are_its_urls() -> None:
    url = f"memory://{uuid.uuid4().hex}"
    assert below(f"{url}/ir/1.png", source_roots(Storage(url), url)) == "ir/1.png"
    roots = source_roots(Storage("s3://bucket/x", {"anon": True}), "s3://bucket/x/")
    assert roots == ("s3://bucket/x", "s3a://bucket/x")


def test_no_rows_are_no_paths() -> None:
    empty = pa.chunked_array([], pa.string())
    assert below_source(pa.table({"ir": empty}), empty, S3)["ir"].to_pylist() == []
