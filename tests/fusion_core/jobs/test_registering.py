"""What a pair's row says of its registration, and what becomes of its pixels."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archive_fixture import ArchiveFixture
from off_pairs import Off, distance, pair
from scene_fixture import SceneFixture, pixels_of
from tiny import pair_refs, png

from fusion_core.archive.plan import Chunk

SIZE = (240, 320)
COLUMNS = ("registration", "shift_x", "shift_y", "registration_score", "registration_matrix")
FLAT = "flat"


def fused(folder: Path, off: Off | str, **changes: Any) -> tuple[dict[str, Any], ArchiveFixture]:
    """Fuse a pair that is off so far, by some settings; return its row."""
    archive = ArchiveFixture(str(folder), **changes)
    ir, vi = pair(3, Off() if isinstance(off, str) else off, SIZE)
    if off == FLAT:
        ir = np.full_like(ir, 0.5)
    for side, plane in (("ir", ir), ("vi", vi)):
        body = png(np.rint(255 * plane).astype(np.uint8))
        Path(archive.settings.source, side, "one.png").write_bytes(body)
    archive.worker().run(Chunk("part", pair_refs(archive.settings.source, ["one"])))
    return archive.rows()["one"], archive


def test_a_pair_that_is_aligned_says_so_and_has_no_remark(tmp_path: Path) -> None:
    row, _ = fused(tmp_path, Off())
    assert (row["status"], row["registration"], row["remark"]) == ("ok", "aligned", None)
    assert (row["shift_x"], row["shift_y"]) == pytest.approx((0, 0), abs=0.6)
    assert 0.5 < row["registration_score"] <= 1
    assert row["registration_matrix"] is None


def test_a_pair_that_is_off_is_fused_with_a_remark(tmp_path: Path) -> None:
    row, _ = fused(tmp_path, Off(11, -7))
    assert (row["status"], row["registration"]) == ("ok", "shifted")
    assert (row["shift_x"], row["shift_y"]) == pytest.approx((11, -7), abs=0.7)
    assert row["remark"].startswith("the infrared image is off by about 13 pixels (11 right, 7 up")
    assert row["remark"].endswith("; at most 3.0 may be")
    assert row["registration_matrix"] is None


def test_a_pair_may_be_off_by_as_much_as_the_limit(tmp_path: Path) -> None:
    row, _ = fused(tmp_path, Off(11, -7), registration_limit=15.0)
    assert (row["registration"], row["remark"]) == ("aligned", None)


def test_a_pair_that_is_off_fails_where_the_settings_say_so(tmp_path: Path) -> None:
    row, archive = fused(tmp_path, Off(11, -7), misaligned="fail")
    assert (row["status"], row["cause"], row["stage"]) == ("failed", "pair", "pair")
    assert row["error_type"] == "MisalignedError"
    assert "off by about 13 pixels" in row["error_message"]
    assert row["registration"] == "shifted"
    assert archive.images() == {}


def test_an_aligned_pair_does_not_fail_by_that(tmp_path: Path) -> None:
    row, _ = fused(tmp_path, Off(), misaligned="fail")
    assert row["status"] == "ok"


def test_nothing_is_looked_at_where_it_is_off(tmp_path: Path) -> None:
    row, _ = fused(tmp_path, Off(11, -7), registration="off", misaligned="fail")
    assert row["status"] == "ok"
    assert [row[name] for name in COLUMNS] == [None] * 5


@pytest.mark.parametrize("model", ["translation", "affine", "homography"])
def test_a_pair_is_aligned_before_it_is_fused(tmp_path: Path, model: str) -> None:
    off = Off(11, -7) if model == "translation" else Off(9, 4, math.radians(4), 1.02)
    row, archive = fused(tmp_path / "off", off, registration=model)
    plain, straight = fused(tmp_path / "straight", Off(), registration=model)
    assert (row["registration"], plain["registration"]) == ("corrected", "aligned")
    matrix = np.array(row["registration_matrix"]).reshape(3, 3)
    assert distance(matrix, off, SIZE) < 0.5
    assert (row["shift_x"], row["shift_y"]) == pytest.approx((off.x, off.y), abs=0.7)
    assert row["overlap"] < 1
    assert row["remark"].endswith("pixels without infrared keep the visible values")
    images = [
        pixels_of(one.output.fs_path(next(iter(one.images())))).astype(float)
        for one in (archive, straight)
    ]
    inner = np.s_[:, 40:-40, 40:-40]
    assert np.abs(images[0][inner] - images[1][inner]).mean() < 1.5
    off_row, shifted = fused(tmp_path / "checked", off)
    left = pixels_of(shifted.output.fs_path(next(iter(shifted.images())))).astype(float)
    assert np.abs(left[inner] - images[1][inner]).mean() > 3
    assert off_row["settings_hash"] != row["settings_hash"]


def test_borders_without_infrared_keep_the_visible_values(tmp_path: Path) -> None:
    row, archive = fused(tmp_path, Off(20, 0), registration="translation")
    image = pixels_of(archive.output.fs_path(next(iter(archive.images()))))
    visible = pixels_of(Path(archive.settings.source, "vi/one.png"))
    assert row["registration"] == "corrected"
    assert (image[:, :, -18:] == visible[:, :, -18:]).all()
    assert (image[:, :, :-24] != visible[:, :, :-24]).any()


def test_what_is_not_sure_stays_as_it_is_and_says_so(tmp_path: Path) -> None:
    row, _ = fused(tmp_path / "asked", FLAT, registration="affine")
    assert row["registration"] == "unsure"
    assert "is not sure, so the pair was fused as it is" in row["remark"]
    row, _ = fused(tmp_path / "checked", FLAT)
    assert (row["registration"], row["registration_score"], row["remark"]) == ("unsure", 0, None)


def test_what_the_transform_can_not_mend_stays_as_it_is_and_says_so(tmp_path: Path) -> None:
    row, _ = fused(tmp_path, Off(5, 2, math.radians(6)), registration="translation")
    assert row["registration"] == "unsure"
    assert "no translation that mends it is sure: it stays as it is" in row["remark"]
    assert row["registration_matrix"] is None


SCENE = {"crs": "EPSG:32632"}


def scene_row(folder: Path, off: Off, **changes: Any) -> dict[str, Any]:
    archive = SceneFixture(folder, **changes)
    ir, vi = (np.rint(1000 + 3000 * plane).astype(np.uint16) for plane in pair(8, off, SIZE))
    archive.put("one", ir=ir[None], vi=vi[None])
    (row,) = archive.fuse(archive.ref("one"))
    return row


def test_a_scene_is_checked_by_its_pixels_where_its_georeferences_agree(tmp_path: Path) -> None:
    row = scene_row(tmp_path / "off", Off(12, 5))
    assert (row["status"], row["registration"]) == ("ok", "shifted")
    assert (row["shift_x"], row["shift_y"]) == pytest.approx((12, 5), abs=0.8)
    assert "the infrared image is off by about 13 pixels" in row["remark"]
    row = scene_row(tmp_path / "straight", Off())
    assert (row["registration"], row["remark"]) == ("aligned", None)


def test_a_scene_is_not_aligned_by_its_pixels_and_says_so(tmp_path: Path) -> None:
    row = scene_row(tmp_path, Off(12, 5), registration="affine")
    assert row["registration"] == "shifted"
    assert "the pair is a scene, and registration of photographs had no part in it" in row["remark"]


def test_a_scene_that_is_off_fails_where_the_settings_say_so(tmp_path: Path) -> None:
    row = scene_row(tmp_path, Off(12, 5), misaligned="fail")
    assert (row["status"], row["error_type"]) == ("failed", "MisalignedError")
    assert row["registration"] == "shifted"
