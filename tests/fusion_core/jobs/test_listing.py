import dataclasses
import datetime as dt
import os
import re
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fusion_core.archive.fused_images import FusedImages
from fusion_core.archive.pairing import PAIRS_SCHEMA, Pairing
from fusion_core.archive.plan import make_plan
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import ExpectationError, SettingsError, StorageError
from fusion_core.jobs.listing import find_pairs, list_fused, list_pairs
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.scratch import scratch_folder
from fusion_core.storage.source import open_source
from fusion_core.storage.store import Storage

DATE = dt.date(2026, 11, 20)


@pytest.fixture(params=["local", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"


def fill(url: str, *paths: str) -> None:
    storage = Storage(url)
    for path in paths:
        storage.write(path, path.encode())


def find(source: str, output: str = "memory://elsewhere", **settings: object) -> Pairing:
    made = FuseArchiveSettings.model_validate({"source": source, "output": output, **settings})
    where = (Storage(source), Storage(output), DATE, {})
    try:
        found = list_pairs(made, *where)
    except (SettingsError, ExpectationError) as error:
        with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
            find_in_parts(made, *where)
        raise
    streamed = find_in_parts(made, *where)
    assert streamed == dataclasses.replace(found, pairs=streamed.pairs)
    assert streamed.pairs.equals(found.pairs)
    return found


def find_in_parts(
    settings: FuseArchiveSettings, source: Storage, output: Storage, *where: Any
) -> Pairing:
    with scratch_folder() as folder:
        return find_pairs(settings, source, output, *where, folder=folder).read()


def ids(pairing: Pairing) -> list[str]:
    found: list[str] = pairing.pairs["pair_id"].to_pylist()
    return found


def test_the_files_below_the_source_are_paired(root: str) -> None:
    fill(root, "ir/1.png", "vi/1.png", "ir/2.png", "notes.txt")
    pairing = find(root)
    assert ids(pairing) == ["1"]
    assert pairing.unpaired == ("ir/2.png",)
    assert pairing.unmatched == ("notes.txt",)


def test_it_is_told_how_many_objects_were_listed(root: str) -> None:
    fill(root, *(f"{side}/{k}.png" for side in ("ir", "vi") for k in range(3)), "out/x.png")
    made = FuseArchiveSettings(source=root, output=f"{root}/out")
    counts: list[int] = []
    with scratch_folder() as folder:
        where = (Storage(root), Storage(f"{root}/out"), DATE, {})
        find_pairs(made, *where, folder=folder, progress=counts.append)
    assert counts[-1] == 7
    assert counts == sorted(counts)


def test_the_prefix_takes_the_date_of_the_run(root: str) -> None:
    days = ("2026/11/19", "2026/11/20", "2026/11/21")
    fill(root, *(f"{day}/{name}.png" for day in days for name in ("ir", "vi")))
    templates = {"ir": "{day:path}/ir.png", "vi": "{day:path}/vi.png"}
    assert ids(find(root, **templates)) == list(days)
    dated = {"prefix": "{date:%Y/%m/%d}/", **templates}
    assert ids(find(root, **dated)) == ["2026/11/19", "2026/11/20"]
    assert ids(find(root, days=1, **dated)) == ["2026/11/20"]


def test_a_pair_that_came_in_late_is_found_the_next_nights(root: str) -> None:
    """The run of a night looks at a folder that is a few hours old; the rest of the day follows."""
    nights = [dt.date(2026, 11, 20) + dt.timedelta(days=k) for k in range(4)]
    made = FuseArchiveSettings.model_validate(
        {
            **{"source": root, "output": "memory://elsewhere"},
            **{"prefix": "north/{date:%Y/%m/%d}", "ir": "{d:path}/ir/{n}", "vi": "{d:path}/vi/{n}"},
        }
    )
    rows = ok_rows(PAIRS_SCHEMA.empty_table())
    fused = []
    for night in nights:
        day, before = (f"north/{one:%Y/%m/%d}" for one in (night, night - dt.timedelta(days=1)))
        fill(root, f"{day}/ir/0105", f"{day}/vi/0105")
        fill(root, f"{before}/ir/1830", f"{before}/vi/1830")  # after the night's run
        plan = make_plan(list_pairs(made, Storage(root), Storage("memory://x"), night, {}), rows)
        ids = plan.todo["pair_id"].to_pylist()
        fused.append([name.removeprefix("north/2026/11/") for name in ids])
        rows = pa.concat_tables([rows, ok_rows(plan.todo)])
    assert fused == [
        ["19/1830", "20/0105"],
        ["20/1830", "21/0105"],
        ["21/1830", "22/0105"],
        ["22/1830", "23/0105"],
    ]
    assert plan.done == 3, "of the days before, also that which came in late"


def ok_rows(todo: pa.Table) -> pa.Table:
    """Rows as they are written of fused pairs, with the columns that a plan is made of."""
    names = ["pair_id", "ir_version", "vi_version"]
    rows = [{**row, "status": "ok", "attempt": 1} for row in todo.select(names).to_pylist()]
    schema = pa.schema([field.with_nullable(True) for field in PART_SCHEMA])
    return pa.Table.from_pylist(rows, schema=schema).cast(schema)


@pytest.mark.parametrize(("inside", "kept"), [("", ["fused-by-hand", "vi"]), ("out", ["out-2"])])
def test_an_output_inside_the_source_is_no_part_of_it(
    root: str, inside: str, kept: list[str]
) -> None:
    fill(root, *(f"{folder}/1.png" for folder in ("ir", *kept)))
    output = f"{root}/{inside}".rstrip("/")
    fill(output, "fused/1.png", "manifest/1.png", "scores/1.png", "runs/1.png")
    pairing = find(root, output, ir="ir/{pair}.png", vi=f"{kept[-1]}/{{pair}}.png")
    assert ids(pairing) == ["1"]
    assert not pairing.ambiguous
    assert pairing.unmatched == tuple(f"{folder}/1.png" for folder in kept[:-1])


def test_an_output_below_the_root_of_a_memory_store_is_left_out() -> None:
    folder = uuid.uuid4().hex
    fill("memory://", f"{folder}/ir/1.png", f"{folder}-out/fused/1.png")
    pairing = find("memory://", f"memory://{folder}-out", prefix=folder, unmet="warn")
    assert pairing.unmatched == (f"{folder}/ir/1.png",)


def test_an_index_names_the_pairs_at_any_url(root: str, tmp_path: Path) -> None:
    fill(root, "x/a.png", "y/b.png", "c.png")
    fill(root, "index.csv")
    for index in (f"{tmp_path}/in/dex.csv", f"memory://{uuid.uuid4().hex}/dex.csv"):
        rows = b"pair_id,ir,vi\n007,x/a.png,y/b.png\n008,x/z.png,c.png\n"
        folder, name = index.rsplit("/", 1)
        Storage(folder).write(name, rows)
        pairing = find(root, index=index)
        assert ids(pairing) == ["007"]
        assert pairing.unpaired == ("c.png", "x/z.png")
        assert "index.csv" in pairing.unmatched


def test_an_index_at_the_root_of_the_file_system_is_not_looked_for_here(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{uuid.uuid4().hex}.csv"
    (tmp_path / name).write_text("pair_id,ir,vi\n")
    monkeypatch.chdir(tmp_path)
    fill(root, "a")
    assert ids(find(root, index=name)) == []
    with pytest.raises(SettingsError, match=f"there is no index /{name}"):
        find(root, index=f"/{name}")


def with_index(root: str, *rows: str) -> str:
    lines = "\n".join(["pair_id,ir,vi", *rows])
    Storage(root).write("index.csv", lines.encode())
    return f"{root}/index.csv"


def test_an_index_with_the_url_of_the_source_in_front_is_used(root: str) -> None:
    fill(root, "ir/1.png", "vi/1.png", "ir/2.png", "vi/2.png")
    index = with_index(root, f"1,{root}/ir/1.png,./vi/1.png", f"2,{root}//ir/2.png,vi//2.png")
    for source in (root, f"{root}/"):
        assert ids(find(source, index=index)) == ["1", "2"]
    index = with_index(root, "1,ir/1.png,s3://elsewhere/vi/1.png")
    with pytest.raises(SettingsError, match=r"'s3://elsewhere/vi/1.png' in the column vi of row 1"):
        find(root, index=index)


def test_an_index_of_which_no_row_is_a_whole_pair_is_refused(root: str) -> None:
    fill(root, "x/ir/1.png", "x/vi/1.png", "x/vi/2.png", "x/note.txt")
    index = with_index(root, "1,ir/1.png,vi/1.png", "2,ir/2.png,x/vi/2.png")
    with pytest.raises(ExpectationError, match=r"has 2 rows and none is a whole pair") as refused:
        find(root, index=index)
    assert "4 are missing or have no counterpart, such as 'ir/1.png'" in str(refused.value)
    assert "such as 'index.csv'" in str(refused.value)
    twice = with_index(root, "1,x/ir/1.png,x/vi/1.png", "1,x/ir/1.png,x/vi/2.png")
    with pytest.raises(ExpectationError, match="claim a pair that another file claims too"):
        find(root, index=twice)
    some = with_index(root, "1,x/ir/1.png,x/vi/1.png", "2,x/ir/2.png,x/vi/2.png")
    pairing = find(root, index=some)
    assert (ids(pairing), pairing.unpaired) == (["1"], ("x/ir/2.png", "x/vi/2.png"))


def test_an_index_without_rows_or_with_none_of_this_night_is_an_empty_night(root: str) -> None:
    fill(root, "2026/11/20/note.txt")
    assert ids(find(root, index=with_index(root))) == []
    other = with_index(root, "1,2026/11/09/ir.png,2026/11/09/vi.png")
    night = find(root, index=other, prefix="{date:%Y/%m/%d}/")
    assert (ids(night), night.unpaired) == ([], ())
    with pytest.raises(ExpectationError, match="none is a whole pair"):
        find(root, index=other)


def test_templates_that_match_files_and_pair_none_are_refused(root: str) -> None:
    fill(root, "ir/1.png", "ir/2.png", "visible/1.png")
    with pytest.raises(ExpectationError, match=r"2 files of .* match the templates") as refused:
        find(root)
    assert "such as 'ir/1.png', 'ir/2.png'" in str(refused.value)
    assert "There are 1 others, such as 'visible/1.png'" in str(refused.value)
    fill(root, "vi/3.png")
    with pytest.raises(ExpectationError, match="3 files"):
        find(root)
    fill(root, "vi/1.png")
    assert ids(find(root)) == ["1"]


def write_inventory(folder: Path, *paths: str) -> str:
    count = len(paths)
    table = pa.table({"path": paths, "size": [1] * count, "version": ["v"] * count})
    pq.write_table(table, folder / "listing.parquet")
    return f"{folder}/listing.parquet"


def test_an_inventory_is_read_and_nothing_listed(root: str, tmp_path: Path) -> None:
    fill(root, "ir/1.png", "vi/1.png", "out/x.png")
    inventory = write_inventory(tmp_path, "ir/7.png", "vi/7.png", "vi/8.png", "out/y.png")
    pairing = find(root, f"{root}/out", inventory=inventory)
    assert (ids(pairing), pairing.unpaired, pairing.unmatched) == (["7"], ("vi/8.png",), ())
    index = with_index(root, "a,vi/7.png,vi/8.png")
    assert ids(find(root, inventory=inventory, index=index)) == ["a"]
    with pytest.raises(SettingsError, match="there is no file"):
        find(root, inventory=f"{tmp_path}/none.parquet")


def test_the_days_of_a_prefix_choose_from_an_inventory_too(root: str, tmp_path: Path) -> None:
    fill(root, "readme")
    days = [f"2026/11/{day}" for day in range(16, 22)]
    inventory = write_inventory(
        tmp_path, *(f"{day}/{side}.png" for day in days for side in ("ir", "vi"))
    )
    templates = {"ir": "{day:path}/ir.png", "vi": "{day:path}/vi.png"}
    found = find(root, prefix="{date:%Y/%m/%d}/", inventory=inventory, **templates)
    assert ids(found) == days[2:5]


def test_a_touched_archive_is_the_same_by_its_checksums(tmp_path: Path) -> None:
    fill(str(tmp_path), "ir/1.png", "vi/1.png")
    made = FuseArchiveSettings(source=str(tmp_path), output="memory://x", identity="checksum")
    where = (open_source(made, {}), Storage("memory://x"), DATE, {})
    before = list_pairs(made, *where).pairs
    for path in tmp_path.glob("*/*.png"):
        os.utime(path, (1, 1))
    assert list_pairs(made, *where).pairs.equals(before)
    assert before["ir_version"][0].as_py().startswith("sha256:")


def test_a_missing_local_archive_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"no folder {tmp_path}/none"):
        find(f"{tmp_path}/none")


def find_fused(
    source: str, output: str, fused: dict[str, str], **settings: object
) -> tuple[Pairing, FusedImages]:
    fields = {"source": source, "output": output, "fused": fused, **settings}
    made = ScoreArchiveSettings.model_validate(fields)
    return list_fused(made, Storage(source), Storage(output), DATE, {})


def test_fused_images_are_found_below_the_source_and_in_stores_of_their_own(root: str) -> None:
    fill(root, "ir/1.png", "vi/1.png", "near/1.png", "near/2.png", "notes.txt")
    other = f"memory://{uuid.uuid4().hex}"
    fill(other, "far/x/1.png", "elsewhere/1.png")
    fused = {"near": "near/{pair}.png", "far": f"{other}/far/{{hash}}/{{pair}}.png"}
    pairing, images = find_fused(root, f"{root}/out", fused)
    found = [(row["method"], row["fused_path"]) for row in images.images.to_pylist()]
    assert found == [("far", "x/1.png"), ("near", "near/1.png")]
    assert images.unpaired == {"near": ("near/2.png",), "far": ()}
    assert pairing.unmatched == ("notes.txt",)


def test_what_fuse_archive_wrote_into_the_archive_itself_can_be_scored(root: str) -> None:
    fill(root, "ir/1.png", "vi/1.png", "fused/h/1.d.png", "scores/x.parquet", "manifest/x.parquet")
    fused = {"refinefuse": "fused/{hash}/{pair}.{digest}.png"}
    pairing, images = find_fused(root, root, fused)
    assert images.images["fused_path"].to_pylist() == ["fused/h/1.d.png"]
    assert pairing.unmatched == ()


def test_an_index_pairs_the_sources_of_fused_images_too(root: str) -> None:
    fill(root, "x/a.png", "y/b.png", "f/007.png")
    Storage(root).write("dex.csv", b"pair_id,ir,vi\n007,x/a.png,y/b.png\n")
    _, images = find_fused(root, "memory://o", {"m": "f/{pair}.png"}, index=f"{root}/dex.csv")
    assert images.images["pair_id"].to_pylist() == ["007"]


@pytest.mark.s3
def test_a_missing_bucket_is_named_and_an_empty_one_has_no_pairs(s3_bucket: str) -> None:
    assert ids(find(f"s3://{s3_bucket}/none/yet")) == []
    with pytest.raises(StorageError, match=f"s3://{s3_bucket}-missing: there is no such bucket"):
        find(f"s3://{s3_bucket}-missing")
