"""As test_bad_scenes.py: files that are cut off, gone, or overwritten in part."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from generated_scenes import scene_bands
from scene_fixture import SceneFixture
from spoiled_scenes import AGAIN, DAMAGED, body_of, check_failed, scenes_with_temp


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SceneFixture:
    return scenes_with_temp(tmp_path, monkeypatch)


@pytest.mark.parametrize("side", ["ir", "vi"])
@pytest.mark.parametrize("left", [-1, 0.9, 0.5, 0.05, 100, 9, 4])
def test_a_truncated_file(archive: SceneFixture, side: str, left: float) -> None:
    def cut(whole: bytes) -> bytes:
        return whole[: int(left * len(whole)) if 0 < left < 1 else int(left)]

    check_failed(archive, body_of(side, cut), "decode", [f"{side}/bad.tif {DAMAGED}", AGAIN])


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize(
    ("body", "words"),
    [(b"", ["is empty"]), (b"<html>404 not found</html>", ["image"]), (b"\0" * 9000, ["image"])],
    ids=["empty", "html", "zeros"],
)
def test_a_file_that_is_no_image(
    archive: SceneFixture, body: bytes, words: list[str], both: bool
) -> None:
    def spoil(archive: SceneFixture) -> None:
        for side in ("ir", "vi") if both else ("vi",):
            archive.put_bytes(side, "bad", body)

    # Where neither file opens, the reader of photographs says so, and begins with the infrared.
    check_failed(archive, spoil, "decode", [f"{'ir' if both else 'vi'}/bad.tif", *words])


@pytest.mark.parametrize("side", ["ir", "vi"])
def test_a_file_that_vanished_since_it_was_listed(archive: SceneFixture, side: str) -> None:
    archive.put("good")
    archive.put("bad")
    refs = archive.ref("bad"), archive.ref("good")
    archive.path(side, "bad").unlink()
    bad, good = archive.fuse(*refs)
    assert good["status"] == "ok"
    assert (bad["status"], bad["stage"], bad["cause"]) == ("undone", "read", "archive")
    assert f"{side}/bad.tif is gone" in bad["error_message"]


def with_overviews(archive: SceneFixture, damage: Callable[[bytes, int], bytes]) -> None:
    """Give the visible scene overviews, which follow what stood in the file, and damage those."""
    ir, vi = scene_bands(4, (1040, 1100), bands=1, nodata=None)
    archive.put("bad", ir=ir, vi=vi, tiled=True, blockxsize=256, blockysize=256)
    path = archive.path("vi", "bad")
    before = path.stat().st_size
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    path.write_bytes(damage(path.read_bytes(), before))


def test_overviews_whose_pixels_are_gone(archive: SceneFixture) -> None:
    def cut(body: bytes, before: int) -> bytes:
        return body[: before + (len(body) - before) // 50]

    words = ["vi/bad.tif is damaged", "overviews", "gdaladdo"]
    check_failed(archive, lambda archive: with_overviews(archive, cut), "decode", words)


def test_overviews_whose_pixels_are_damaged(archive: SceneFixture) -> None:
    def spill(body: bytes, before: int) -> bytes:
        start, stop = (before + (len(body) - before) * tenth // 10 for tenth in (1, 7))
        return body[:start] + b"\xaa" * (stop - start) + body[stop:]

    words = ["vi/bad.tif is damaged", "overviews", "gdaladdo"]
    check_failed(archive, lambda archive: with_overviews(archive, spill), "decode", words)


def test_a_tile_that_is_damaged_deep_inside(archive: SceneFixture) -> None:
    """The header is whole, and reading begins well: what was fused by then leaves nothing."""
    noise = np.random.default_rng(2).integers(0, 60000, (1, 900, 260)).astype(np.uint16)

    def spoil(archive: SceneFixture) -> None:
        archive.put("bad", ir=noise[0], vi=noise)
        body = archive.path("vi", "bad").read_bytes()
        start = len(body) * 8 // 10
        archive.put_bytes("vi", "bad", body[:start] + b"\xaa" * 5000 + body[start + 5000 :])

    check_failed(archive, spoil, "decode", [f"vi/bad.tif {DAMAGED}", AGAIN])
