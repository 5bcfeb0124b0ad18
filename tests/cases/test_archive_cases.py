"""Archives of which something was once left out or counted as done, from files beside it."""

import datetime as dt
import shutil
from pathlib import Path

import pytest
from case_files import CASES, Case

from fusion_core.errors import ExpectationError, SettingsError
from fusion_core.jobs.listing import list_pairs
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

NORTH = {
    "ir": "{d:path}/ir/{n}.png",
    "vi": "{d:path}/vi/{n}.png",
    "prefix": "north/{date:%Y/%m/%d}",
}


def found(source: Path, day: int, **settings: object) -> list[str]:
    """Return the ids of the pairs that a run of a day in November finds."""
    made = FuseArchiveSettings.model_validate(
        {"source": str(source), "output": f"{source}-out", **settings}
    )
    stores = Storage(made.source), Storage(made.output)
    pairing = list_pairs(made, *stores, dt.date(2026, 11, day), {})
    return list(pairing.pairs["pair_id"].to_pylist())


def test_a_pair_that_comes_in_after_the_nights_run_is_found_the_next_night(tmp_path: Path) -> None:
    Case("11_date_prefix", tmp_path)
    day = tmp_path / "source/north/2026/11/20"
    early = "north/2026/11/20/0105"
    assert found(tmp_path / "source", 20, **NORTH) == [early]
    for side in ("ir", "vi"):
        shutil.copy(day / side / "0105.png", day / side / "1830.png")
    late = "north/2026/11/20/1830"
    assert found(tmp_path / "source", 21, **NORTH, days=1) == []
    assert found(tmp_path / "source", 21, **NORTH) == [early, late]
    assert found(tmp_path / "source", 22, **NORTH) == [early, late]
    assert found(tmp_path / "source", 23, **NORTH) == []


def test_a_file_is_never_fused_with_itself(tmp_path: Path) -> None:
    case = Case("19_index", tmp_path)
    (row,) = case.rows("same")
    assert (row["status"], row["cause"], row["fused_url"]) == ("failed", "pair", None)
    assert row["error_type"] == "SameFileError"
    assert "both sides are the one file rgbt.png" in row["error_message"]


@pytest.mark.parametrize(
    "front", ["./", "{source}/", "{source}//", "file://{source}/", "x/../", "../"]
)
def test_paths_of_an_index_are_found_however_they_are_written(tmp_path: Path, front: str) -> None:
    Case("12_extra_channels", tmp_path)
    source = tmp_path / "source"
    front = front.format(source=source)
    index = tmp_path / "index.csv"
    index.write_text(f"pair_id,ir,vi\na,{front}ir.png,{front}rgbn8.tif\n")
    if front == "../":
        with pytest.raises(SettingsError, match="row 1"):
            found(source, 20, index=str(index))
    else:
        assert found(source, 20, index=str(index)) == ["a"]


def test_an_index_of_which_nothing_is_there_is_an_error(tmp_path: Path) -> None:
    Case("19_index", tmp_path)
    index = tmp_path / "index.csv"
    index.write_text("pair_id,ir,vi\na,rgbt.png,none.png\nb,none.png,rgbt.png\n")
    with pytest.raises(ExpectationError, match="2 rows and none is a whole pair"):
        found(tmp_path / "source", 20, index=str(index))


def test_all_cases_have_a_test() -> None:
    if not CASES.is_dir():
        pytest.skip("the cases are not beside the repository")
    here = "".join(file.read_text() for file in Path(__file__).parent.glob("test_*.py"))
    assert [case.name for case in sorted(CASES.iterdir()) if f'"{case.name}"' not in here] == []
