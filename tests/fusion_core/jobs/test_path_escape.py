"""No pair id leads a worker out of its output, and no index out of its source."""

import csv
import io
import posixpath
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_fixture import ArchiveFixture
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tiny import TODAY, empty_memory_store, pair_refs, settings_for, write_pairs

from fusion_core.archive.layout import fused_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.errors import SettingsError
from fusion_core.jobs.listing import list_pairs
from fusion_core.storage.store import Storage

HOSTILE = [
    *("..", "../..", "../../../../../../etc/cron.d/x", "a/../../../b", "/etc/passwd", "//host/x"),
    *("..\\..\\x", "C:\\Windows\\x", "C:/x", "\\\\host\\share", "a\0b", "\0", "../a\0.png"),
    *("%2e%2e/%2e%2e/x", "..%2f..%2fx", "%00", "..;/x", "....//x", ".", "./", "~", "~root/x"),
    *("file:///etc/passwd", "s3://other/x", "memory://x", "a::file:///etc/passwd", "$HOME/x"),
    *("\u2024\u2024/x", "\uff0e\uff0e/x", "\u2215etc", "a\n../b", "x" * 5000, "../" * 400 + "x"),
    *("../manifest/date=2026-07-19/part-x.parquet", "../../runs/.lease/00000001.json"),
]
PATHS = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(alphabet="./\\%~:2eEfF\0 a", min_size=1, max_size=60),
    st.lists(st.sampled_from(["..", ".", "", "a", "%2e%2e", "\\", "\0"]), min_size=1).map("/".join),
).filter(bool)


@contextmanager
def local_root() -> Iterator[str]:
    with TemporaryDirectory() as folder:
        yield f"{folder}/deep/down"


@contextmanager
def memory_root() -> Iterator[str]:
    empty_memory_store()
    yield "memory://deep/down"
    empty_memory_store()


def everything(root: str) -> set[str]:
    """All files of the store around a root, however far from it."""
    if root.startswith("memory://"):
        return set(fsspec.filesystem("memory").store)
    return {str(path) for path in Path(root).parents[1].rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("made", [local_root, memory_root])
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow])
@given(pair_ids=st.lists(PATHS, unique=True, min_size=1, max_size=4))
@example(pair_ids=HOSTILE)
def test_whatever_pairs_are_called_all_that_is_written_lies_below_the_output(
    made: Callable[[], Iterator[str]], pair_ids: list[str]
) -> None:
    with made() as root:  # type: ignore[attr-defined]
        archive = ArchiveFixture(root)
        before = everything(root)
        (ref, *_) = pair_refs(archive.settings.source, ["a"])
        files = (ref.ir_path, ref.ir_bytes, ref.ir_version, ref.vi_path, ref.vi_bytes)
        refs = tuple(PairRef(name, *files, ref.vi_version) for name in pair_ids)
        result = archive.worker().run(Chunk("part", refs))
        assert (result.ok, result.failed) == (len(pair_ids), 0)
        below = f"{archive.output.fs_path('')}/"
        new = everything(root) - before
        assert all(path.startswith(below) for path in new)
        assert all(".." not in path.split("/") for path in new)
        fused = {path for path in new if path.startswith(f"{below}fused/")}
        assert len(fused) == len(pair_ids)
        assert new - fused == {f"{below}{archive.part}"}
        rows = read_part(archive.output, archive.part).to_pylist()
        assert sorted(row["pair_id"] for row in rows) == sorted(pair_ids)


@settings(max_examples=100)
@given(pair_id=PATHS, digest=st.text(min_size=1, max_size=20))
def test_a_version_that_a_store_tells_of_never_becomes_part_of_a_path(
    pair_id: str, digest: str
) -> None:
    path = fused_path(PairRef(pair_id, "i", 1, digest, "v", 1, digest), "settings", digest, "png")
    assert path.isascii()
    assert not {"", ".", ".."} & {*path.split("/")}
    assert not {*"\\\0:%"} & {*path.rpartition(".")[0][-16:]}


def in_csv(rows: list[tuple[str, str, str]]) -> tuple[str, bytes]:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("pair_id", "ir", "vi"), *rows])
    return "index.csv", file.getvalue().encode()


def in_parquet(rows: list[tuple[str, str, str]]) -> tuple[str, bytes]:
    columns = dict(zip(("pair_id", "ir", "vi"), map(list, zip(*rows, strict=True)), strict=True))
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return "index.parquet", file.getvalue()


@pytest.mark.parametrize("written", [in_csv, in_parquet])
@settings(max_examples=15)
@given(paths=st.lists(PATHS.filter(lambda path: "\n" not in path), min_size=1, max_size=5))
@example(paths=["../secret/ir/s.png", "{outside}/ir/s.png", "file://{outside}/ir/s.png"])
@example(paths=["ir/../../secret/ir/s.png", "./ir/a.png", "ir//a.png", "IR/a.png", "ir/a.png\0"])
@example(paths=HOSTILE[:-4])
def test_an_index_names_nothing_that_the_listing_of_the_source_does_not_show(
    written: Callable[[list[tuple[str, str, str]]], tuple[str, bytes]], paths: list[str]
) -> None:
    with local_root() as root:
        write_pairs(f"{root}/in", ["a"])
        write_pairs(f"{root}/secret", ["s"])
        paths = [path.replace("{outside}", f"{root}/secret") for path in paths]
        for k, path in enumerate(paths):  # each alone, since one that is refused ends the run
            # Another one than the good pair's: two pairs of the same files would be another matter.
            name, body = written([(f"p{k}", path, "vi/b.png"), ("good", "ir/a.png", "vi/a.png")])
            Storage(root).write(name, body)
            archive = settings_for(f"{root}/in", f"{root}/out", "mean", index=f"{root}/{name}")
            source, output = Storage(archive.source), Storage(archive.output)
            try:
                pairing = list_pairs(archive, source, output, TODAY, {})
            except SettingsError as error:
                message = f"{error}"
                assert f"names {path!r} in the column ir of row 1, which is not below" in message
                continue
            assert pairing.pairs["pair_id"].to_pylist() == ["good"]
            assert pairing.pairs["ir_path"].to_pylist() == ["ir/a.png"]
            named = posixpath.normpath(re.sub("/+", "/", path))
            assert named == "ir/a.png" or path in pairing.unpaired or named in pairing.unpaired


@pytest.mark.parametrize("written", [in_csv, in_parquet])
@pytest.mark.parametrize(
    "path",
    [
        *("../secret/ir/s.png", "ir/../../secret/ir/s.png", "{outside}/ir/s.png", "/etc/passwd"),
        *("file://{outside}/ir/s.png", "memory://x", "s3://other/x", "a/../../b", "..", "//host/x"),
    ],
)
def test_what_lies_outside_of_the_source_is_refused_by_its_row(
    written: Callable[[list[tuple[str, str, str]]], tuple[str, bytes]], path: str, tmp_path: Path
) -> None:
    write_pairs(tmp_path / "in", ["a"])
    write_pairs(tmp_path / "secret", ["s"])
    path = path.replace("{outside}", f"{tmp_path}/secret")
    name, body = written([("good", "ir/a.png", "vi/a.png"), ("bad", path, "vi/a.png")])
    (tmp_path / name).write_bytes(body)
    archive = settings_for(tmp_path / "in", tmp_path / "out", "mean", index=f"{tmp_path}/{name}")
    source, output = Storage(archive.source), Storage(archive.output)
    with pytest.raises(SettingsError, match="in the column ir of row 2, which is not below the"):
        list_pairs(archive, source, output, TODAY, {})


@pytest.mark.parametrize(
    "prefix",
    ["../secret/", "ir/../../secret/", "/../secret", "..", "{date:..}/secret", "%2e%2e/secret"],
)
def test_no_prefix_leads_out_of_the_source(prefix: str, tmp_path: Path) -> None:
    write_pairs(tmp_path / "in", ["a"])
    write_pairs(tmp_path / "secret", ["s"])
    templates = {"ir": "{d:path}ir/{pair}.png", "vi": "{d:path}vi/{pair}.png"}
    try:
        archive = settings_for(
            tmp_path / "in", tmp_path / "out", "mean", prefix=prefix, **templates
        )
    except ValidationError:
        return
    pairing = list_pairs(archive, Storage(archive.source), Storage(archive.output), TODAY, {})
    assert len(pairing.pairs) == 0
    assert (pairing.unpaired, pairing.unmatched) == ((), ())
