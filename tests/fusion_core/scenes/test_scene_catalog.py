"""What a catalogue and a sheet make of an output that somebody else has written to."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scene_fixture import SceneFixture

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import commit_part
from fusion_core.archive.stored_images import stored_image
from fusion_core.reports.sheets import ShownPair, write_contact_sheet
from fusion_core.scenes.stac_catalog import write_scene_catalog
from fusion_core.storage.stored_file import StoredFile


@pytest.fixture
def archive(tmp_path: Path) -> SceneFixture:
    archive = SceneFixture(tmp_path, stac="catalog")
    archive.put("a")
    return archive


def plant(archive: SceneFixture, row: dict[str, Any], **changes: Any) -> None:
    """Commit a row like one of ours, as an attempt that is newer."""
    newer = {"attempt": 99, "ended": dt.datetime(2030, 1, 1, tzinfo=dt.UTC)}
    path = part_path(dt.date(2030, 1, 1), f"{abs(hash(str(changes))):024x}"[:24])
    assert commit_part(archive.output, path, [{**row, **newer, **changes}])


def items(archive: SceneFixture) -> list[str]:
    assert write_scene_catalog(archive.output, "collection") is not None
    links = json.loads(archive.output.read("collection.json"))["links"]
    return [link["href"] for link in links if link["rel"] == "item"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.json", "/etc/../x.json", "<script>"])
def test_items_are_where_the_rows_pair_says_and_not_where_their_urls_do(
    archive: SceneFixture, url: str
) -> None:
    row = archive.fuse_one("a")
    (ours,) = items(archive)
    assert Path(archive.output.root, ours).samefile(row["item_url"])
    plant(archive, row, item_url=url)
    assert items(archive) == [ours]


def test_rows_of_no_image_of_ours_have_no_entry(archive: SceneFixture) -> None:
    row = archive.fuse_one("a")
    ours = items(archive)
    for number, change in enumerate(
        ({"settings_hash": "../../../etc"}, {"fused_format": "x"}, {"fused_sha256": "/etc"})
    ):
        plant(archive, row, pair_id=f"planted{number}", **change)
    assert items(archive) == ours


@pytest.mark.parametrize("west", [float("nan"), float("inf"), 1e9])
def test_a_footprint_that_is_not_on_earth_is_none(archive: SceneFixture, west: float) -> None:
    row = archive.fuse_one("a")
    plant(archive, row, west=west)
    assert len(items(archive)) == 1
    extent = json.loads(archive.output.read("collection.json"))["extent"]
    assert extent["spatial"]["bbox"] == [[-180, -90, 180, 90]]


def test_a_scene_that_was_replaced_is_words_on_the_sheet(archive: SceneFixture) -> None:
    row = archive.fuse_one("a")
    image = stored_image(archive.output, row)
    assert image is not None
    sides = [StoredFile(archive.source, f"{side}/a.tif") for side in ("ir", "vi")]
    pair = ShownPair("a", *sides, {"fused": image})

    def sheet() -> np.ndarray:
        url = write_contact_sheet(archive.output, "sheet.png", [pair], "")
        return np.asarray(Image.open(url)).astype(int)

    shown = sheet()
    body = bytearray(archive.output.read(image.path))
    body[len(body) // 2] ^= 1
    archive.output.write(image.path, bytes(body))
    replaced = sheet()
    # Words take a small part of their cells; pictures take all of them.
    assert (np.abs(shown - (48, 50, 54)).sum(axis=2) > 9).mean() > 0.5
    cells = replaced[110:280, 20 : 20 + 3 * 240]
    assert (np.abs(cells - (48, 50, 54)).sum(axis=2) < 9).mean() > 0.6
