"""A scene given tile by tile scores as the whole image."""

import weakref

import numpy as np
import pytest
from metric_scenes import scene, streamed

from fusion_core.errors import MetricError
from fusion_core.metrics import StreamedScores, score, tiles


@pytest.mark.parametrize("convention", ["published", "textbook"])
def test_a_scene_of_six_tiles_scores_as_in_one_piece(monkeypatch, convention):
    images = scene(2000, 3000)
    found = streamed(images, convention)
    assert len(list(tiles.windows(2000, 3000))) == 6
    monkeypatch.setattr(tiles, "TILE", 4096)
    whole = score(*images, convention)
    for name, value in whole.items():
        assert found[name] == pytest.approx(value, rel=1e-6, abs=0), name


@pytest.mark.parametrize("convention", ["published", "textbook"])
@pytest.mark.parametrize("size", [(64, 64), (65, 129), (70, 200), (128, 105), (191, 103), (1, 200)])
def test_sides_at_which_windows_cross_or_leave_tiles(monkeypatch, size, convention):
    images = scene(*size, seed=1)
    whole = score(*images, convention)
    monkeypatch.setattr(tiles, "TILE", 64)
    found = streamed(images, convention)
    for name, value in whole.items():
        assert found[name] == pytest.approx(value, rel=1e-6, nan_ok=True), name


def test_a_constant_source_is_undefined_also_over_tiles(monkeypatch):
    ir, vi, fused = scene(100, 150)
    monkeypatch.setattr(tiles, "TILE", 64)
    found = streamed([np.full_like(ir, 77), vi, fused])
    assert {name for name, value in found.items() if np.isnan(value)} == {"vif", "scd"}


def test_a_stream_holds_the_same_few_sums_however_many_tiles_it_was_given(monkeypatch):
    monkeypatch.setattr(tiles, "TILE", 64)
    images = scene(200, 300)
    stream = StreamedScores(200, 300)
    held = []
    for window in stream.windows():
        top, left, bottom, right = window.read
        parts = [image[top:bottom, left:right].copy() for image in images]
        alive = [weakref.ref(part) for part in parts]
        stream.add(window, *parts)
        del parts
        assert not any(part() is not None for part in alive)
        held.append(sum(sums.nbytes for sums in stream._sums.values()))
    assert len(held) == 20
    assert set(held) == {held[0]}
    assert held[0] < 4096


def test_tiles_may_have_any_depth():
    images = scene(90, 120)
    deep = [image.astype(np.uint16) * 257 for image in images]
    assert streamed(deep) == streamed(images)


def test_a_tile_added_twice_of_another_image_or_of_another_shape_is_refused():
    images = scene(90, 120)
    stream = StreamedScores(90, 120)
    (window,) = stream.windows()
    with pytest.raises(MetricError, match=r"vi has shape \(90, 119\), expected \(90, 120\)"):
        stream.add(window, images[0], images[1][:, 1:], images[2])
    stream.add(window, *images)
    with pytest.raises(MetricError, match="was added before or is none of the image"):
        stream.add(window, *images)
    with pytest.raises(MetricError, match="was added before or is none of the image"):
        stream.add(next(tiles.windows(91, 120)), *images)


def test_missing_tiles_and_empty_images_are_refused():
    with pytest.raises(MetricError, match=r"2 tiles were not added, such as \(0, 0, 90, 1024\)"):
        StreamedScores(90, 1100).scores()
    with pytest.raises(MetricError, match="0x90 pixels is empty"):
        StreamedScores(90, 0)
    with pytest.raises(MetricError, match="found the convention 'nonsense'; expected one of"):
        StreamedScores(90, 90, "nonsense")
