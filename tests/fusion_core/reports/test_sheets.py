import io
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny import empty_memory_store, png

from fusion_core.errors import DecodeError
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison_sheet import ComparisonRow, draw_comparison_sheet
from fusion_core.reports.contact_sheet import SheetRow, draw_contact_sheet
from fusion_core.reports.sheets import write_comparison_sheet, write_contact_sheet
from fusion_core.storage.local import read_file
from fusion_core.storage.store import Storage

COLOURS = {"ir": (90, 90, 90), "vi": (200, 20, 20), "fused": (20, 180, 20)}


@pytest.fixture(params=["local", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    local = request.param == "local"
    yield Storage(str(tmp_path) if local else f"memory://{uuid.uuid4().hex}")
    empty_memory_store()


def painted(colour: tuple[int, int, int], size: tuple[int, int] = (30, 40)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def row(output: Storage, pair_id: str, **pixels: np.ndarray) -> dict[str, Any]:
    """Store the images of a row; those not given are of one colour."""
    urls = {}
    for kind, colour in COLOURS.items():
        path = f"{kind}/{pair_id}.png"
        output.write(path, png(pixels.get(kind, painted(colour))))
        urls[f"{kind}_url"] = output.url(path)
    return {"pair_id": pair_id, **urls, **dict.fromkeys(METRIC_NAMES, 1.25), "vif": None}


def sheet_of(output: Storage, url: str) -> np.ndarray:
    with Storage(url.rpartition("/")[0]).fs.open(url) as file, Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_the_sheet_is_drawn_from_the_stored_images(output: Storage) -> None:
    rows = [row(output, name) for name in ("a", "b/c", "d #%41 e")]
    url = write_contact_sheet(output, "runs/1/sheet.png", rows, "a run")
    assert url == output.url("runs/1/sheet.png")
    metrics = dict.fromkeys(METRIC_NAMES, 1.25) | {"vif": None}
    expected = draw_contact_sheet(
        [
            SheetRow(each["pair_id"], *(painted(COLOURS[kind]) for kind in COLOURS), metrics)
            for each in rows
        ],
        "a run",
    )
    np.testing.assert_array_equal(sheet_of(output, url), np.asarray(expected))


def test_infrared_of_another_size_is_shown_at_the_visible_size(output: Storage) -> None:
    same = row(output, "a", ir=painted(COLOURS["ir"]))
    other = row(output, "a ", ir=painted(COLOURS["ir"], (15, 10)))
    sheets = [
        sheet_of(output, write_contact_sheet(output, f"{k}.png", [each | {"pair_id": "x"}], ""))
        for k, each in enumerate((same, other))
    ]
    np.testing.assert_array_equal(*sheets)


def test_an_older_sheet_is_replaced(output: Storage) -> None:
    write_contact_sheet(output, "sheet.png", [], "first")
    first = output.read("sheet.png")
    write_contact_sheet(output, "sheet.png", [row(output, "a")], "second")
    with Image.open(io.BytesIO(output.read("sheet.png"))) as image:
        assert image.height > Image.open(io.BytesIO(first)).height


def test_an_image_that_is_gone_or_damaged_is_an_error_for_the_caller(output: Storage) -> None:
    damaged, gone = row(output, "a"), row(output, "b")
    output.write("fused/a.png", b"nothing")
    output.fs.rm_file(output.fs_path("vi/b.png"))
    with pytest.raises(DecodeError, match="no image"):
        write_contact_sheet(output, "sheet.png", [damaged], "")
    with pytest.raises(FileNotFoundError):
        write_contact_sheet(output, "sheet.png", [gone], "")
    assert not output.exists("sheet.png")


def test_a_read_that_fails_in_passing_is_repeated(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = row(output, "a")
    once: list[Exception] = [TimeoutError("slow")]
    name = "fusion_core.storage.store.read_file" if output.is_local else "cat_file"
    target = (name,) if output.is_local else (output.fs, name)
    read = read_file if output.is_local else output.fs.cat_file

    def flaky(path: str, **options: Any) -> bytes:
        if once:
            raise once.pop()
        return bytes(read(path, **options))

    monkeypatch.setattr(*target, flaky)
    write_contact_sheet(output, "sheet.png", [stored], "")
    assert not once


def test_the_comparison_sheet_is_drawn_from_the_stored_images(output: Storage) -> None:
    rows = []
    for pair_id in ("a", "b"):
        stored = row(output, pair_id, ir=painted(COLOURS["ir"], (15, 20)))
        fused = {"mean": stored["fused_url"], "mine": stored["vi_url"]}
        rows.append({**stored, "fused": fused})
    url = write_comparison_sheet(output, "runs/1/sheet.png", rows, "a run")
    ir, vi, fused = (painted(colour) for colour in COLOURS.values())
    drawn = [ComparisonRow(name, ir, vi, {"mean": fused, "mine": vi}) for name in ("a", "b")]
    expected = draw_comparison_sheet(drawn, "a run")
    np.testing.assert_array_equal(sheet_of(output, url), np.asarray(expected))


def test_large_images_are_reduced_before_they_are_drawn(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = row(output, "a", **{kind: painted((9, 9, 9), (1500, 2000)) for kind in COLOURS})
    seen = []

    def noted(rows: Iterable[ComparisonRow], title: str) -> Image.Image:
        seen.extend(image for row in rows for image in (row.ir, row.vi, *row.fused.values()))
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr("fusion_core.reports.sheets.draw_comparison_sheet", noted)
    fused = {"m": large["fused_url"]}
    write_comparison_sheet(output, "sheet.png", [{**large, "fused": fused}], "")
    assert {image.shape for image in seen} == {(750, 1000, 3)}
