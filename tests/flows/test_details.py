"""The lists of a run: all in a file, the first hundred and the counts in the summary."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from manifest_rows import row
from tiny import settings_for

from flows.details import (
    DETAILS_SCHEMA,
    files_without_pair,
    first_files,
    images_without_counterpart,
    misaligned,
    remarks,
    unsuccessful,
    write_details,
)
from flows.run import Run
from fusion_core.archive import RUN_SCHEMA, FusedImages, Pairing, RunRows, spill

NAMES = tuple(f"ir/{k:06}.png" for k in range(40_000))


@pytest.fixture
def run(tmp_path: Path) -> Run[Any]:
    return Run.begin(settings_for(tmp_path / "in", tmp_path / "out", "mean"), settings_hash="s")


def pairing(unpaired: Any, ambiguous: Any = (), unmatched: Any = ()) -> Pairing:
    return Pairing(pa.table({}), unpaired, ambiguous, unmatched)


def details_of(run: Run[Any], tmp_path: Path, *listings: Any) -> tuple[dict[str, Any], pa.Table]:
    fields = write_details(run, run.output(), list(listings), tmp_path).fields
    table = pq.read_table(fields["details"])
    assert fields["details"] == run.output().url(f"{run.folder}/details.parquet")
    assert table.schema == DETAILS_SCHEMA
    order = [(str(one["list"]), str(one["method"] or "")) for one in table.to_pylist()]
    assert order == sorted(order)
    return fields, table


def rows_of(folder: Path, *rows: dict[str, Any]) -> RunRows:
    table = pa.Table.from_pylist([row(**one) for one in rows], RUN_SCHEMA)
    return RunRows(spill(folder, RUN_SCHEMA, [table]), folder)


@pytest.mark.parametrize("spilled", [False, True])
def test_files_in_no_pair_are_listed_from_memory_or_from_a_local_file(
    run: Run[Any], tmp_path: Path, spilled: bool
) -> None:
    def given(names: tuple[str, ...]) -> Any:
        table = pa.table({"path": pa.array(names, pa.string())})
        return spill(tmp_path, table.schema, [table]) if spilled else names

    found = pairing(given(NAMES), given(("vi/a.png",)), given(()))
    fields, table = details_of(run, tmp_path, *files_without_pair(found))
    assert fields["unpaired"] == NAMES[:100]
    assert (fields["ambiguous"], fields["unmatched"]) == (("vi/a.png",), ())
    assert fields["counts"] == {"ambiguous": 1, "unmatched": 0, "unpaired": 40_000}
    assert table["path"].to_pylist() == ["vi/a.png", *NAMES]
    assert table["list"].to_pylist() == ["ambiguous", *["unpaired"] * 40_000]
    told = {name: value for name, value in fields.items() if name != "details"}
    assert first_files(found) == told


def test_what_failed_and_is_undone_is_told_with_its_reason(run: Run[Any], tmp_path: Path) -> None:
    reason = {"stage": "decode", "cause": "pair", "attempt": 2, "error_type": "E"}
    reason |= {"error_message": "cut", "history": "store pair"}
    rows = rows_of(
        tmp_path,
        *({"pair_id": f"p{k:03}", "status": "failed", **reason} for k in range(150)),
        {"pair_id": "q", "status": "undone", **reason},
        {"pair_id": "r", "remark": "covers 97 %"},
    )
    fields, table = details_of(run, tmp_path, *unsuccessful(rows, "pair_id"), remarks(rows))
    del reason["history"]
    assert fields["failures"][:1] == ({"pair_id": "p000", **reason},)
    assert len(fields["failures"]) == 100
    assert fields["undone_pairs"] == ({"pair_id": "q", **reason},)
    assert fields["remarks"] == ("r: covers 97 %",)
    assert fields["counts"] == {"failures": 150, "remarks": 1, "undone_pairs": 1}
    assert table["history"].to_pylist() == ["store pair"] * 150 + [None] + ["store pair"]
    assert table["remark"].to_pylist() == [None] * 150 + ["covers 97 %", None]
    (one, *_) = unsuccessful(rows, "pair_id", "method")
    assert {name: one.shown(row("a", **reason))[name] for name in ("pair_id", "method")} == {
        "pair_id": "a",
        "method": "x",
    }


def test_images_without_counterpart_are_listed_by_method(run: Run[Any], tmp_path: Path) -> None:
    images = FusedImages(
        pa.table({}),
        unpaired={"m": NAMES[:101], "n": ()},
        missing={"m": ("p1",), "n": ("p2",)},
        ambiguous={"m": (), "n": ("f/x.png",)},
    )
    fields, table = details_of(run, tmp_path, *images_without_counterpart(images))
    assert fields["unpaired_images"] == {"m": NAMES[:100], "n": ()}
    assert fields["missing"] == {"m": ("p1",), "n": ("p2",)}
    assert fields["ambiguous_images"] == {"m": (), "n": ("f/x.png",)}
    assert fields["counts_by_method"]["unpaired_images"] == {"m": 101, "n": 0}
    missing = table.filter(pa.compute.equal(table["list"], "missing"))
    assert missing["pair_id"].to_pylist() == ["p1", "p2"]
    assert missing["method"].to_pylist() == ["m", "n"]


def test_no_list_is_ever_held_as_a_whole(run: Run[Any], tmp_path: Path) -> None:
    held: list[int] = []

    def batches() -> Iterator[pa.Table]:
        for k in range(30):
            held.append(pa.total_allocated_bytes())
            yield pa.table({"path": [f"{k:03}" * 33] * 10_000})

    (listing, *_) = files_without_pair(pairing(()))
    whole = type(listing)("unpaired", batches(), listing.shown)
    fields, _ = details_of(run, tmp_path, whole)
    assert fields["counts"] == {"unpaired": 300_000}
    assert max(held) - held[0] < 16 << 20


def test_pairs_that_are_off_are_listed_with_how_far_and_all_are_counted(
    run: Run[Any], tmp_path: Path
) -> None:
    rows = rows_of(
        tmp_path,
        {"pair_id": "b", "registration": "shifted", "remark": "off by 9 pixels"},
        {"pair_id": "a", "registration": "shifted", "remark": "off by 7 pixels"},
        {"pair_id": "c", "registration": "shifted", "status": "failed", "stage": "pair"},
        *({"pair_id": f"d{k}", "registration": "aligned"} for k in range(4)),
        {"pair_id": "e", "registration": "corrected", "remark": "3 pixels alone"},
        {"pair_id": "f"},
    )
    fields, table = details_of(run, tmp_path, misaligned(rows))
    assert fields["misaligned"] == ("a: off by 7 pixels", "b: off by 9 pixels")
    assert table["list"].to_pylist() == ["misaligned"] * 2
    assert rows.registrations() == {"aligned": 4, "shifted": 3, "corrected": 1}
