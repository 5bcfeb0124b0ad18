import hashlib
import io
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tiny import empty_memory_store, png

from fusion_core.errors import UnreachableError
from fusion_core.metrics import METRIC_NAMES
from fusion_core.reports.comparison_sheet import ComparisonRow, draw_comparison_sheet
from fusion_core.reports.contact_sheet import SheetRow, draw_contact_sheet
from fusion_core.reports.drawing import told_picture
from fusion_core.reports.sheets import ShownPair, write_comparison_sheet, write_contact_sheet
from fusion_core.storage.local import read_file
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile

METRICS = dict.fromkeys(METRIC_NAMES, 1.25) | {"vif": None}
COLOURS = {"ir": (90, 90, 90), "vi": (200, 20, 20), "fused": (20, 180, 20)}


@pytest.fixture(params=["local", "memory"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    local = request.param == "local"
    yield Storage(str(tmp_path) if local else f"memory://{uuid.uuid4().hex}")
    empty_memory_store()


def painted(colour: tuple[int, int, int], size: tuple[int, int] = (30, 40)) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def pair(output: Storage, pair_id: str, **pixels: np.ndarray) -> ShownPair:
    """Store the images of a pair; those not given are of one colour."""
    files = {}
    for kind, colour in COLOURS.items():
        body = png(pixels.get(kind, painted(colour)))
        path = f"{kind}/{pair_id}.png"
        output.write(path, body)
        known = (hashlib.sha256(body).hexdigest(), len(body)) if kind == "fused" else ()
        files[kind] = StoredFile(output, path, *known)
    return ShownPair(pair_id, files["ir"], files["vi"], {"fused": files["fused"]}, METRICS)


def sheet_of(output: Storage, url: str) -> np.ndarray:
    with Storage(url.rpartition("/")[0]).fs.open(url) as file, Image.open(file) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def test_the_sheet_is_drawn_from_the_stored_images(output: Storage) -> None:
    pairs = [pair(output, name) for name in ("a", "b/c", "d #%41 e")]
    url = write_contact_sheet(output, "runs/1/sheet.png", pairs, "a run")
    assert url == output.url("runs/1/sheet.png")
    expected = draw_contact_sheet(
        [
            SheetRow(each.pair_id, *(painted(COLOURS[kind]) for kind in COLOURS), METRICS)
            for each in pairs
        ],
        "a run",
    )
    np.testing.assert_array_equal(sheet_of(output, url), np.asarray(expected))


def test_infrared_of_another_size_is_shown_at_the_visible_size(output: Storage) -> None:
    same = pair(output, "a", ir=painted(COLOURS["ir"]))
    other = pair(output, "a ", ir=painted(COLOURS["ir"], (15, 10)))
    sheets = [
        sheet_of(output, write_contact_sheet(output, f"{k}.png", [replace(each, pair_id="x")], ""))
        for k, each in enumerate((same, other))
    ]
    np.testing.assert_array_equal(*sheets)


def test_an_older_sheet_is_replaced(output: Storage) -> None:
    write_contact_sheet(output, "sheet.png", [], "first")
    first = output.read("sheet.png")
    write_contact_sheet(output, "sheet.png", [pair(output, "a")], "second")
    with Image.open(io.BytesIO(output.read("sheet.png"))) as image:
        assert image.height > Image.open(io.BytesIO(first)).height


def test_a_picture_that_is_gone_damaged_or_replaced_is_words_and_the_others_are_shown(
    output: Storage,
) -> None:
    names = ("damaged", "gone", "replaced", "whole")
    damaged, gone, replaced, whole = (pair(output, name) for name in names)
    output.write("ir/damaged.png", b"nothing")
    output.fs.rm_file(output.fs_path("vi/gone.png"))
    foreign = png(painted((255, 0, 255)))
    written = output.read("fused/replaced.png")
    output.write("fused/replaced.png", foreign + bytes(max(0, len(written) - len(foreign))))
    url = write_contact_sheet(output, "s.png", [damaged, gone, replaced, whole], "")
    sheet = sheet_of(output, url).astype(int)
    foreign_shown = (np.abs(sheet - (255, 0, 255)).sum(axis=2) < 40).sum()
    assert foreign_shown == 0
    ir, vi, fused = (painted(colour) for colour in COLOURS.values())
    rows = sheet_rows(url, output)
    for name, cells in zip(names, rows, strict=True):
        for kind, cell, drawn in zip(COLOURS, cells, (ir, vi, fused), strict=True):
            is_shown = (np.abs(cell - drawn[0, 0]).sum(axis=2) < 8).mean() > 0.9
            bad = {"damaged": "ir", "gone": "vi", "replaced": "fused"}.get(name)
            assert is_shown == (kind != bad), (name, kind)


def sheet_rows(url: str, output: Storage) -> list[list[np.ndarray]]:
    """Cut the thumbnails out of a sheet of landscape pictures, row by row."""
    sheet = sheet_of(output, url).astype(int)
    tops = [80 + 20 + 4 + 3 + number * (180 + 24 + 18) for number in range(4)]
    lefts = [20 + 248 * column for column in range(3)]
    return [[sheet[top : top + 170, left : left + 240] for left in lefts] for top in tops]


def test_a_store_that_gives_no_answer_is_no_picture_s_fault(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: StoredFile) -> bytes:
        raise UnreachableError("no answer")

    shown = pair(output, "a")
    monkeypatch.setattr(StoredFile, "read", away)
    with pytest.raises(UnreachableError):
        write_contact_sheet(output, "sheet.png", [shown], "")


def test_the_words_fit_into_a_cell_however_long_they_are() -> None:
    long = told_picture("s3://bucket/" + "very_long/" * 90 + " has other bytes " * 90)
    assert long.shape == (180, 240, 3)
    assert (long[-8:] == long[0, 0]).all()
    assert (told_picture("the file is gone") != long).any()


def test_a_read_that_fails_in_passing_is_repeated(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = pair(output, "a")
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
    pairs = []
    for pair_id in ("a", "b"):
        stored = pair(output, pair_id, ir=painted(COLOURS["ir"], (15, 20)))
        fused_by = {"mean": stored.fused["fused"], "ir": stored.vi}
        pairs.append(replace(stored, fused=fused_by))
    url = write_comparison_sheet(output, "runs/1/sheet.png", pairs, "a run")
    ir, vi, fused = (painted(colour) for colour in COLOURS.values())
    drawn = [ComparisonRow(name, ir, vi, {"mean": fused, "ir": vi}) for name in ("a", "b")]
    expected = draw_comparison_sheet(drawn, "a run")
    np.testing.assert_array_equal(sheet_of(output, url), np.asarray(expected))


def test_large_images_are_reduced_before_they_are_drawn(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = pair(output, "a", **{kind: painted((9, 9, 9), (1500, 2000)) for kind in COLOURS})
    seen = []

    def noted(rows: Iterable[ComparisonRow], title: str) -> Image.Image:
        seen.extend(image for row in rows for image in (row.ir, row.vi, *row.fused.values()))
        return Image.new("RGB", (1, 1))

    monkeypatch.setattr("fusion_core.reports.sheets.draw_comparison_sheet", noted)
    write_comparison_sheet(output, "sheet.png", [large], "")
    assert {image.shape for image in seen} == {(750, 1000, 3)}


def test_an_error_that_nobody_foresaw_costs_its_pair_alone(
    output: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = [pair(output, name) for name in ("bad", "good")]

    def stumble(files: list[StoredFile], _: StoredFile) -> None:
        if "bad" in files[0].path:
            raise ValueError("a reader's own error")

    monkeypatch.setattr("fusion_core.reports.sheets.scene_pictures", stumble)
    sheet = sheet_of(output, write_contact_sheet(output, "sheet.png", pairs, ""))
    assert (sheet == COLOURS["fused"]).all(axis=-1).any()
