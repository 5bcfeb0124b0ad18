"""An index that is lost or wrong is told to be, and made anew from what people read."""

from pathlib import Path

import pyarrow as pa
import pytest
from published_rows import as_part, lay_part_of_before, publish

from fusion_core.archive.index import rebuild as rebuilding
from fusion_core.archive.index.key_index import open_index
from fusion_core.archive.index.rebuild import Differences, differences, rebuild
from fusion_core.archive.index.state import create_state, newest_state
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

FOLDER = "commits/index/manifest/"


def rows_of(*ids: str) -> pa.Table:
    return as_part(pa.table({"pair_id": list(ids), "status": ["ok"] * len(ids)}))


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    """An output with rows of a version before, and of two runs; the second is in no index yet."""
    store = Storage(str(tmp_path / "out"))
    lay_part_of_before(store, "0a", rows_of("a", "z").to_pylist())
    publish(store, 1, [rows_of("b", "a"), rows_of("c")])
    open_index(store, "manifest", tmp_path, generation=1)
    publish(store, 2, [rows_of("d")])
    return store


def pairs(output: Storage, folder: Path) -> list[str]:
    index = open_index(output, "manifest", folder)
    found: list[str] = index.rows_of(pa.array(list("abcdxz")))["pair_id"].to_pylist()
    return sorted(found)


def test_an_index_that_holds_what_people_read_has_no_differences(
    output: Storage, tmp_path: Path
) -> None:
    before = output.list().to_pylist()
    assert differences(output, "manifest", tmp_path) == Differences(0, 0)
    assert output.list().to_pylist() == before
    assert differences(output, "scores", tmp_path) == Differences(0, 0)


def test_rows_too_many_and_too_few_are_told(output: Storage, tmp_path: Path) -> None:
    number, state = newest_state(output, "manifest")
    other = Storage(str(tmp_path / "other"))
    publish(other, 1, [rows_of("x", "x", "y")])
    planted = open_index(other, "manifest", tmp_path, generation=1).state.shards[0]
    for name in (planted.name, planted.name.replace(".parquet", ".filter")):
        output.write(FOLDER + name, other.read(FOLDER + name))
    wrong = state.model_copy(update={"shards": (*state.shards[1:], planted)})
    assert create_state(output, "manifest", number + 1, wrong)
    lost = sorted("az" if len(state.shards) > 1 else "aabcz")
    found = differences(output, "manifest", tmp_path)
    assert (found.superfluous, found.first_superfluous) == (3, ("x", "y"))
    assert (found.missing, sorted(found.first_missing)) == (len(lost), lost)
    rebuild(output, "manifest", tmp_path, 3)
    assert differences(output, "manifest", tmp_path) == Differences(0, 0)


def test_a_damaged_index_is_made_anew_and_what_it_was_is_removed(
    output: Storage, tmp_path: Path
) -> None:
    number, _ = newest_state(output, "manifest")
    output.write(f"{FOLDER}{number:08}.json", b"{")
    with pytest.raises(ManifestError, match="is no state of an index"):
        open_index(output, "manifest", tmp_path)
    state = rebuild(output, "manifest", tmp_path, 3)
    assert pairs(output, tmp_path) == ["a", "a", "b", "c", "d", "z"]
    kept = {path for path in output.list(FOLDER)["path"].to_pylist() if "shard-" in path}
    assert kept == {
        f"{FOLDER}{shard.name.removesuffix('.parquet')}{end}"
        for shard in state.shards
        for end in (".parquet", ".filter")
    }
    publish(output, 4, [rows_of("x")])
    assert pairs(output, tmp_path) == ["a", "a", "b", "c", "d", "x", "z"]


def test_a_rebuilding_that_was_killed_leaves_the_index_of_before(
    output: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, read = rebuilding.read_part, []

    def killed_at_the_second(
        storage: Storage, path: str, *given: object, **options: object
    ) -> pa.Table:
        read.append(path)
        if len(read) > 1:
            raise KeyboardInterrupt
        return real(storage, path, *given, **options)  # type: ignore[arg-type]

    before = newest_state(output, "manifest")
    monkeypatch.setattr(rebuilding, "read_part", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        rebuild(output, "manifest", tmp_path, 3)
    assert newest_state(output, "manifest") == before
    assert pairs(output, tmp_path) == ["a", "a", "b", "c", "d", "z"]
