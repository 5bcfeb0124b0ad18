"""The file that says what a settings hash stands for belongs to the images and rows of the hash."""

import datetime as dt
import json
from pathlib import Path

import pytest
from archive_fixture import ArchiveFixture

from fusion_core.archive.keeping.check import check
from fusion_core.archive.keeping.clean import plan_clean
from fusion_core.archive.keeping.naming import Naming
from fusion_core.archive.layout import is_request_path, request_path
from fusion_core.storage.store import Storage

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
OTHER = request_path("0123456789abcdef")


@pytest.fixture
def output(archive: ArchiveFixture) -> Storage:
    path = request_path(archive.identity("run").settings_hash)
    archive.output.write(path, json.dumps({"settings": {"prefix": "c/d", "ir": "a"}}).encode())
    return archive.output


def cleaned(output: Storage, folder: Path, *kinds: str) -> set[str]:
    return set(plan_clean(output, folder, kinds=kinds, now=NOW).objects.read()["path"].to_pylist())


def test_it_is_no_stray_and_stays_with_the_images(output: Storage, tmp_path: Path) -> None:
    assert check(output, tmp_path, tell=lambda _: None) == []
    assert not any(map(is_request_path, cleaned(output, tmp_path)))


def test_it_stays_with_images_or_rows_alone_and_goes_behind_both(
    output: Storage, tmp_path: Path
) -> None:
    output.write(OTHER, b"{}")
    assert cleaned(output, tmp_path, "images") == {OTHER}
    orphan = OTHER.replace("settings.json", "p.0123456789abcdef.png")
    output.write(orphan, b"1")
    assert cleaned(output, tmp_path, "images") == {orphan}
    for path in output.list("fused/")["path"].to_pylist():
        if not is_request_path(path):
            output.remove(path)
    assert cleaned(output, tmp_path, "images") == {OTHER}, "rows name the hash of the others"


def test_settings_name_no_pair_whatever_they_are_called(output: Storage) -> None:
    (path,) = filter(is_request_path, output.list("fused/")["path"].to_pylist())
    naming = Naming(["a", "c/d", "settings"])
    assert not naming.in_path(path)
    assert not naming.in_object(output, path)
    output.write("runs/r/summary.json", b'{"request": {"settings": {"ir": "a"}}}')
    assert not naming.in_object(output, "runs/r/summary.json")


@pytest.mark.parametrize(
    "path", ["fused/settings.json", "fused/h/x/settings.json", "scores/h/settings.json"]
)
def test_only_one_path_is_that_of_settings(path: str) -> None:
    assert is_request_path(OTHER)
    assert not is_request_path(path)
