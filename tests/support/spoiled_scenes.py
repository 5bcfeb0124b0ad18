"""Spoils one of two pairs of scenes and checks what becomes of both."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from generated_scenes import scene_bands
from raw_tags import Tag, grey_tags, utm_tiff
from scene_fixture import SIZE, SceneFixture

HEIGHT, WIDTH = SIZE
GREY = scene_bands(3, SIZE, bands=1, nodata=None)[1]
BODY = GREY.astype("<u2").tobytes()
TAGS = grey_tags(WIDTH, HEIGHT)
DAMAGED = "is damaged: "
AGAIN = "upload it again"

Spoil = Callable[[SceneFixture], None]


def scenes_with_temp(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SceneFixture:
    """An archive whose worker puts its temporary files below ``folder``."""
    (folder / "temp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "temp"))
    return SceneFixture(folder)


def check_failed(archive: SceneFixture, spoil: Spoil, stage: str, words: Sequence[str]) -> None:
    """Spoil one of two pairs; its row says why, and the other is fused."""
    archive.put("good")
    archive.put("bad")
    spoil(archive)
    bad, good = archive.fuse(archive.ref("bad"), archive.ref("good"))
    assert (good["pair_id"], good["status"], good["bands"]) == ("good", "ok", 1)
    assert (bad["pair_id"], bad["status"]) == ("bad", "failed")
    assert bad["stage"] == stage, bad["error_message"]
    for word in words:
        assert word.lower() in bad["error_message"].lower()
    assert bad["fused_url"] is None
    assert bad["fused_sha256"] is None
    names = [path.rpartition("/")[2].partition(".")[0] for path in archive.fused()]
    assert names == ["good"] * 3
    assert list((archive.folder / "temp").iterdir()) == []


def body_of(side: str, change: Callable[[bytes], bytes]) -> Spoil:
    def spoil(archive: SceneFixture) -> None:
        archive.put_bytes(side, "bad", change(archive.path(side, "bad").read_bytes()))

    return spoil


def raw(tags: dict[int, Tag], body: bytes = BODY, side: str = "vi") -> Spoil:
    return body_of(side, lambda _: utm_tiff(tags, body))


def made(**fields: Any) -> Spoil:
    return lambda archive: archive.put("bad", **fields)
