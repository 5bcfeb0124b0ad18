"""Tiles and blocks cover every pixel once, and a tile's halo completes its windows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.metrics import tiles
from fusion_core.metrics.tiles import MetricTile, blocks, windows

sides = st.integers(1, 300)


@pytest.fixture(autouse=True)
def _small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILE", 64)


@given(height=sides, width=sides)
def test_cores_cover_every_pixel_once_and_start_at_multiples_of_the_tile(height, width):
    seen = np.zeros((height, width), int)
    for window in windows(height, width):
        top, left, bottom, right = window.core
        assert (top % 64, left % 64) == (0, 0)
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


@given(height=sides, width=sides)
def test_what_is_read_is_the_core_and_its_halo_as_far_as_the_image_reaches(height, width):
    for window in windows(height, width):
        (top, left, bottom, right), read = window.core, window.read
        assert read[:2] == (max(top - 1, 0), max(left - 1, 0))
        assert read[2:] == (min(bottom + 40, height), min(right + 40, width))
        assert window.shape == (read[2] - read[0], read[3] - read[1])


@given(height=st.integers(1, 500), width=st.integers(1, 900), batch=st.integers(1, 5))
def test_blocks_cover_every_place_once(height, width, batch):
    seen = torch.zeros(height, width)
    for block in blocks(height, width, batch, torch.device("cpu")):
        block.cut(seen).add_(1)
    assert (seen == 1).all()


def test_a_gpu_takes_all_places_at_once():
    (block,) = blocks(3000, 4000, 32, torch.device("cuda"))
    assert block == (slice(0, 3000), slice(0, 4000))


@given(height=sides, width=sides, data=st.data())
def test_planes_are_the_pixels_around_the_centre_with_black_beyond_the_image(height, width, data):
    seed = data.draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (3, 1, height, width), dtype=torch.uint8, generator=generator)
    framed = torch.nn.functional.pad(images, (1, 1, 1, 1)).float()
    for window in windows(height, width):
        tile = MetricTile.cut(images, window)
        top, left, bottom, right = window.core
        expected = framed[..., top : bottom + 2, left : right + 2] - tile.centre
        assert torch.equal(tile.padded, expected)
        assert torch.equal(tile.grey(), images[..., top:bottom, left:right])
        planes = tile.centred(tile.width + 5)
        assert torch.equal(planes[..., -5:], torch.zeros_like(planes[..., -5:]))
        below = images[..., top : bottom + 40, left : right + 40]
        assert torch.equal(planes[..., :-5], below - tile.centre)


def test_a_tile_is_centred_on_the_pixels_that_hold_data():
    images = torch.zeros(3, 1, 100, 100, dtype=torch.uint8)
    images[0, 0, :70, 40:60], images[1, 0, :70, 40:60], images[2, 0, :70, 40:50] = 200, 31, 9
    valid = torch.zeros(100, 100, dtype=torch.bool)
    valid[:70, 40:60] = True
    window = next(windows(100, 100))
    tile = MetricTile.read(images, window, height=100, width=100, valid=valid)
    # 4.5 is rounded to the even number.
    assert tile.centre.flatten().tolist() == [200, 31, 4]
    assert torch.equal(tile.data(3), valid[:67, :67])
    assert MetricTile.cut(images, window).data(3) is None


def test_a_tile_without_data_has_a_centre_all_the_same():
    images = torch.zeros(3, 1, 70, 70, dtype=torch.uint8)
    valid = torch.zeros(70, 70, dtype=torch.bool)
    tile = MetricTile.read(images, next(windows(70, 70)), height=70, width=70, valid=valid)
    assert tile.centre.flatten().tolist() == [0, 0, 0]
