"""Whether what was found is an empty night, or files that nobody makes pairs of."""

import datetime as dt
import uuid
from pathlib import Path

import pytest

from fusion_core.archive.pairing import Pairing
from fusion_core.errors import ExpectationError
from fusion_core.jobs.listing import find_pairs, list_pairs
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.scratch import scratch_folder
from fusion_core.storage.store import Storage

DATE = dt.date(2026, 11, 20)


@pytest.fixture(params=["local", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}"


def fill(url: str, *paths: str) -> None:
    storage = Storage(url)
    for path in paths:
        storage.write(path, path.encode())


def find(source: str, **settings: object) -> Pairing:
    """List and pair, in memory and out of it."""
    made = FuseArchiveSettings.model_validate(
        {"source": source, "output": "memory://o", **settings}
    )
    stores = (Storage(source), Storage(made.output))
    try:
        found = list_pairs(made, *stores, DATE, {})
    except ExpectationError:
        with scratch_folder() as folder, pytest.raises(ExpectationError):
            find_pairs(made, *stores, DATE, {}, folder=folder)
        raise
    with scratch_folder() as folder:
        streamed = find_pairs(made, *stores, DATE, {}, folder=folder)
        assert (len(streamed.pairs), len(streamed.unmatched)) == (0, len(found.unmatched))
    return found


def test_a_source_without_files_but_those_of_tools_is_an_empty_night(root: str) -> None:
    fill(root, "_SUCCESS", "ir/.keep", "2026/11/09/note.txt")
    assert len(find(root, prefix="{date:%Y/%m/%d}/").pairs) == 0
    assert [len(find(root, prefix=start).pairs) for start in ("ir", "_S")] == [0, 0]


def test_a_renamed_folder_is_no_empty_night(root: str) -> None:
    fill(root, "_SUCCESS", *(f"thermal/{side}/{k}.png" for side in ("ir", "vi") for k in (1, 2)))
    with pytest.raises(ExpectationError, match=r"^found 5 files .*none of them mat") as error:
        find(root)
    for told in ("such as 'thermal/ir/1.png'", "and whether a folder was renamed"):
        assert told in str(error.value)
    with pytest.raises(ExpectationError, match="of which paths that start with 'thermal/'"):
        find(root, prefix="thermal/")
    assert len(find(root, unmet="warn").unmatched) == 5
