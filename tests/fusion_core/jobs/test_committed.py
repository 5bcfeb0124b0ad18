"""What is told of a chunk from rows, whoever wrote them."""

from pathlib import Path
from typing import Any

import pytest
from tiny import TODAY

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import commit_part
from fusion_core.archive.plan import PAIR_KEY, SCORE_KEY, Chunk, PairRef, ScoreRef
from fusion_core.errors import LeaseLostError, ManifestError
from fusion_core.jobs.committed import (
    ChunkResult,
    Undone,
    committed_rows,
    result_of_rows,
    tried,
)
from fusion_core.storage.store import Storage

PATH = part_path(TODAY, "part")


def ref(name: str, version: str = "1", **more: Any) -> PairRef:
    return PairRef(name, f"ir/{name}", 1, version, f"vi/{name}", 1, version, **more)


def row(name: str, status: str, version: str = "1", **more: Any) -> dict[str, Any]:
    key = {"pair_id": name, "ir_version": version, "vi_version": version}
    return {"cause": None, "history": None, **key, "status": status, **more}


def test_rows_are_counted_by_their_status() -> None:
    chunk = Chunk("part", tuple(map(ref, "abcdef")))
    rows = [row("f", "ok"), row("a", "ok"), row("b", "failed"), row("d", "skipped")]
    rows.append(row("c", "undone", cause="store", history="store at read on n1"))
    assert result_of_rows(chunk, "p", rows) == ChunkResult(
        ("p",),
        ok=2,
        failed=1,
        skipped=1,
        undone=(Undone(tried(ref("c"), "store at read on n1"), "store"),),
        left=(ref("e"),),
    )


def test_rows_of_other_pairs_and_of_other_versions_of_their_files_do_not_count() -> None:
    chunk = Chunk("part", (ref("a"), ref("b")))
    rows = [row("a", "ok", version="2"), row("z", "ok"), row("b", "ok")]
    assert result_of_rows(chunk, "p", rows) == ChunkResult(("p",), ok=1, left=(ref("a"),))


def test_images_of_one_pair_are_told_apart_by_their_method() -> None:
    files = ("ir/a", 1, "1", "vi/a", 1, "1")
    images = [ScoreRef("a", *files, f"{name}/a", 1, "9", method=name) for name in ("m", "n")]
    rows = [row("a", "ok", method="n", fused_version="9")]
    result = result_of_rows(Chunk("part", tuple(images)), "p", rows)
    assert (result.ok, result.left) == (1, (images[0],))


def test_a_pair_is_numbered_and_remembers_for_its_next_attempt() -> None:
    before = ref("a", attempt=4, tries=1, history="worker at crash on n1")
    after = tried(before, "worker at crash on n1; gpu at fuse on n2")
    assert (after.attempt, after.tries) == (5, 2)
    assert after.history == "worker at crash on n1; gpu at fuse on n2"
    assert after.key == before.key


def test_outcomes_are_joined_and_lose_nothing() -> None:
    a, b, c, d = map(ref, "abcd")
    undone = Undone(tried(a, None), "time")
    first = ChunkResult(("p", "q"), ok=1, failed=2, skipped=3, undone=(undone,), left=(b,))
    second = ChunkResult(("q", "r"), ok=10, left=(c,), alone=(d,), spoiled=True)
    expected = ChunkResult(
        ("p", "q", "r"),
        ok=11,
        failed=2,
        skipped=3,
        undone=(undone,),
        left=(b, c),
        alone=(d,),
        spoiled=True,
    )
    assert first.joined(second) == expected
    assert second.joined(first).spoiled


def test_those_left_of_a_batch_that_hung_are_to_be_tried_alone() -> None:
    a, b, c = map(ref, "abc")
    result = ChunkResult(("p",), left=(a, b), alone=(c,), spoiled=True)
    # A pair of the batch that another worker has committed meanwhile is no longer left.
    after = result.after(spoiled=False, alone={b.key, ref("other").key})
    assert after == ChunkResult(("p",), left=(a,), alone=(c, b), spoiled=True)
    assert ChunkResult(("p",)).after(spoiled=True, alone=set()).spoiled


# What a part tells


@pytest.fixture
def output(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


def test_a_part_without_rows_tells_nothing_and_a_tombstone_who_wrote_it(output: Storage) -> None:
    assert commit_part(output, PATH, [])
    assert committed_rows(output, PATH, PAIR_KEY, run_id="mine") == []
    other = part_path(TODAY, "other")
    assert commit_part(output, other, [], closed_by="theirs")
    with pytest.raises(LeaseLostError, match="theirs has taken the output over from mine"):
        committed_rows(output, other, PAIR_KEY, run_id="mine")


@pytest.mark.parametrize("key", [PAIR_KEY, SCORE_KEY])
def test_what_is_no_part_is_an_error(output: Storage, key: tuple[str, ...]) -> None:
    output.write(PATH, b"no Parquet")
    with pytest.raises(ManifestError, match="can't be read as a manifest part"):
        committed_rows(output, PATH, key, run_id="mine")
