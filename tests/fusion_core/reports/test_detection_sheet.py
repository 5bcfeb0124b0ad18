import io
from pathlib import Path

import numpy as np
from bright_squares import squares
from PIL import Image
from tiny import png

from fusion_core.detection.boxes import Boxes
from fusion_core.detection.comparison import DetectedPair
from fusion_core.detection.labels import LabelBox
from fusion_core.reports.detection_sheet import LABELLED, ShownDetections, write_detection_sheet
from fusion_core.reports.drawing import ACCENT
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile


def box(score: float, name: str = "car") -> Boxes:
    corners = np.array([[8, 8, 8, 16]], np.float32)
    return Boxes(corners, np.array([score], np.float32), (name,))


def drawn(folder: Path, *pairs: ShownDetections) -> np.ndarray:
    output = Storage(str(folder))
    write_detection_sheet(output, "sheet.png", pairs, "A run")
    with Image.open(io.BytesIO(output.read("sheet.png"))) as sheet:
        return np.asarray(sheet.convert("RGB"))


def shown(folder: Path, *names: str, **changes: object) -> ShownDetections:
    storage = Storage(str(folder))
    for name in names:
        storage.write(f"{name}.png", png(squares((0, 0))))
    boxes = {"infrared": box(0.9), "visible": box(0.2), "m": box(0.9, "bus")}
    detected = DetectedPair("pair", (32, 32), boxes, (LabelBox((16, 0, 8, 8), "car"),))
    files = {name: StoredFile(storage, f"{name}.png") for name in ("infrared", "visible", "m")}
    return ShownDetections(detected, files, 2, 0.3, **changes)  # type: ignore[arg-type]


def tiles(sheet: np.ndarray) -> list[np.ndarray]:
    """Return the three images of the first row; each is 360 pixels wide and high."""
    top = sheet.shape[0] - 20 - 360
    return [sheet[top : top + 360, 20 + k * 368 : 380 + k * 368] for k in range(3)]


def has(tile: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((tile == colour).all(-1).any())


def test_boxes_stand_where_they_were_found_and_labels_beside_them(tmp_path: Path) -> None:
    sheet = drawn(tmp_path, shown(tmp_path, "infrared", "visible", "m"))
    found = tiles(sheet)
    assert [has(tile, ACCENT) for tile in found] == [True, False, True]
    assert all(has(tile, LABELLED) for tile in found)
    scale = 360 / 32
    rows, columns = np.nonzero((found[0] == ACCENT).all(-1))
    assert (columns.min(), columns.max()) == (8 * scale, 16 * scale)
    assert rows.max() == 24 * scale
    left, right = round(16 * scale), round(24 * scale)
    dashes = (found[0][0, left : right + 1] == LABELLED).all(-1)
    assert 0.4 < dashes.mean() < 0.7


def test_other_classes_than_those_compared_are_left_out(tmp_path: Path) -> None:
    pair = shown(tmp_path, "infrared", "visible", "m", classes=("car",))
    assert [has(tile, ACCENT) for tile in tiles(drawn(tmp_path, pair))] == [True, False, False]


def test_a_picture_that_is_gone_costs_no_other(tmp_path: Path) -> None:
    found = tiles(drawn(tmp_path, shown(tmp_path, "infrared", "visible")))
    assert has(found[0], (255, 255, 255))
    assert not has(found[2], (128, 128, 128))
