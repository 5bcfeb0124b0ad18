import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusion_core.models.tiling.grid import ALIGNMENT, BLEND, Blender, Span, Tile, cut_tiles

SIDES = st.integers(1, 700)
SIZES = st.integers(8, 24).map(lambda k: 16 * k)  # scenes take 128 at least
RADII = st.integers(0, 110)
SHIFTS = st.sampled_from([0, 32, 48, 64, 112, 128])


def spans(total: int, size: int, radius: int, shift: int) -> list[Span]:
    return [tile.rows for tile in cut_tiles(total, 1, size, radius, shift=shift)]


def blended(tiles: list[Tile], image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give each tile its part of an image, and put together what comes out; NaN where nothing."""
    result = np.full(image.shape, np.nan, np.float32)
    blender = Blender(image.shape[1])
    for tile in tiles:
        result[tile.final] = blender.add(tile, image[tile.read])
    return result


@settings(max_examples=60)
@given(height=SIDES, width=SIDES, size=SIZES, radius=RADII, shift=SHIFTS)
def test_what_tiles_complete_is_each_pixel_once_in_reading_order(
    height: int, width: int, size: int, radius: int, shift: int
) -> None:
    tiles = cut_tiles(height, width, size, radius, shift=shift)
    counts = np.zeros((height, width), int)
    for tile in tiles:
        counts[tile.final] += 1
    assert (counts == 1).all()
    places = [(tile.rows.zone.start, tile.columns.zone.start) for tile in tiles]
    assert places == sorted(places)
    assert tiles[0].rows.first
    assert tiles[0].columns.first
    assert tiles[-1].rows.last
    assert tiles[-1].columns.last


@settings(max_examples=200)
@given(total=st.integers(1, 5000), size=SIZES, radius=RADII, shift=SHIFTS)
def test_borders_and_reads_are_aligned(total: int, size: int, radius: int, shift: int) -> None:
    for span in spans(total, size, radius, shift):
        assert span.read.start % ALIGNMENT == 0
        assert span.first == (span.zone.start == 0)
        assert span.last == (span.zone.stop == total)
        if not span.first:
            assert (span.zone.start + BLEND) % ALIGNMENT == 0
        if not span.last:
            assert (span.zone.stop - BLEND) % ALIGNMENT == 0


@settings(max_examples=200)
@given(total=st.integers(1, 5000), size=SIZES, radius=RADII, shift=SHIFTS)
def test_around_every_pixel_that_counts_as_much_is_read_as_the_reach(
    total: int, size: int, radius: int, shift: int
) -> None:
    for span in spans(total, size, radius, shift):
        assert span.read.start <= max(0, span.zone.start - radius)
        assert span.read.stop >= min(total, span.zone.stop + radius)
        assert span.read.start >= 0
        assert span.read.stop <= total


@settings(max_examples=200)
@given(total=st.integers(1, 5000), size=SIZES, radius=RADII)
def test_tiles_are_not_larger_than_asked_for_nor_more_than_needed(
    total: int, size: int, radius: int
) -> None:
    found = spans(total, size, radius, 0)
    borders = [0, *(span.zone.start + BLEND for span in found[1:]), total]
    sides = [stop - start for start, stop in pairwise(borders)]
    assert max(sides[:-1], default=0) <= size
    # what is left at the edge and couldn't be blended goes to the last one
    assert sides[-1] <= size + 2 * BLEND
    assert len(found) <= -(-total // size)
    aligned = -(-(radius + BLEND) // ALIGNMENT) * ALIGNMENT
    assert max(s.read.stop - s.read.start for s in found[:-1] or found) <= size + 2 * aligned


def test_a_cut_by_hand() -> None:
    (top, bottom), width = cut_tiles(300, 1, 160, receptive_radius=32), slice(0, 1)
    assert top.rows == Span(
        zone=slice(0, 176), final=slice(0, 144), read=slice(0, 208), first=True, last=False
    )
    assert bottom.rows == Span(
        zone=slice(144, 300), final=slice(144, 300), read=slice(112, 300), first=False, last=True
    )
    assert [tile.columns.zone for tile in (top, bottom)] == [width, width]
    moved = spans(300, 160, 32, shift=48)
    assert [span.zone for span in moved] == [slice(0, 64), slice(32, 224), slice(192, 300)]
    assert [span.final for span in moved] == [slice(0, 32), slice(32, 192), slice(192, 300)]


@pytest.mark.parametrize("total", [1, 31, 32, 128])
def test_a_side_that_fits_is_one_tile(total: int) -> None:
    (span,) = spans(total, 128, 64, 0)
    whole = slice(0, total)
    assert span == Span(zone=whole, final=whole, read=whole, first=True, last=True)
    assert (span.weights() == 1).all()


@settings(max_examples=100)
@given(total=st.integers(1, 3000), size=SIZES, shift=SHIFTS)
def test_weights_sum_to_one_everywhere(total: int, size: int, shift: int) -> None:
    sums, tiles_here = np.zeros(total, np.float32), np.zeros(total, int)
    for span in spans(total, size, 0, shift):
        weights = span.weights()
        assert weights.dtype == np.float32
        assert (weights > 0).all()
        sums[span.zone] += weights
        tiles_here[span.zone] += 1
    np.testing.assert_allclose(sums, 1, rtol=0, atol=1.2e-7)
    assert tiles_here.max() <= 2


@settings(max_examples=60)
@given(height=SIDES, width=SIDES, size=SIZES, radius=RADII, shift=SHIFTS, seed=st.integers(0, 99))
def test_an_image_cut_and_blended_is_itself(
    height: int, width: int, size: int, radius: int, shift: int, seed: int
) -> None:
    image = np.random.default_rng(seed).random((height, width), np.float32)
    result = blended(cut_tiles(height, width, size, radius, shift=shift), image)
    np.testing.assert_allclose(result, image, rtol=0, atol=3e-7)


def test_two_constants_pass_into_each_other_by_a_raised_cosine() -> None:
    tiles = cut_tiles(1, 256, 128, receptive_radius=0)
    blender, row = Blender(256), np.zeros(256, np.float32)
    for tile, value in zip(tiles, (10.0, 20.0), strict=True):
        shape = [part.stop - part.start for part in tile.read]
        row[tile.columns.final] = blender.add(tile, np.full(shape, value, np.float32))[0]
    assert (row[:112] == 10).all()
    assert (row[144:] == 20).all()
    # 0.5 - 0.5 cos(pi (k + 0.5) / 32) at k = 0, 7, 8, 15; by a table of cosines
    by_hand = {112: 0.000602, 119: 0.129524, 120: 0.164221, 127: 0.475466}
    for column, share in by_hand.items():
        assert row[column] == pytest.approx(10 + 10 * share, abs=1e-4)
        assert row[255 - column] == pytest.approx(20 - 10 * share, abs=1e-4)
    assert row[127:129].mean() == pytest.approx(15, abs=1e-5)  # halfway at the border


def test_where_four_tiles_meet_both_directions_blend() -> None:
    tiles = cut_tiles(256, 256, 128, receptive_radius=0)
    blender, result = Blender(256), np.zeros((256, 256), np.float32)
    for tile, value in zip(tiles, (0.0, 1.0, 2.0, 5.0), strict=True):
        shape = [part.stop - part.start for part in tile.read]
        result[tile.final] = blender.add(tile, np.full(shape, value, np.float32))
    share = (0.5 - 0.5 * np.cos(np.pi * (np.arange(32) + 0.5) / 32)).astype(np.float32)
    across = np.concatenate((np.zeros(112), share, np.ones(112)))
    down = across[:, None]
    expected = across * (1 - down) + 2 * (1 - across) * down + 5 * across * down
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_what_is_read_is_cut_to_what_is_asked_for() -> None:
    tile = cut_tiles(400, 420, 128, receptive_radius=20)[5]
    scene = np.arange(2 * 400 * 420).reshape(2, 400, 420)
    read = scene[:, tile.rows.read, tile.columns.read]
    np.testing.assert_array_equal(
        tile.cut(read, tile.final), scene[:, tile.rows.final, tile.columns.final]
    )


@settings(max_examples=20)
@given(height=st.integers(300, 900), width=st.integers(300, 900), shift=SHIFTS)
def test_a_blender_keeps_two_strips_and_one_edge(height: int, width: int, shift: int) -> None:
    size = 128
    assume(width > size)
    blender = Blender(width)
    for tile in cut_tiles(height, width, size, 16, shift=shift):
        shape = [part.stop - part.start for part in tile.read]
        blender.add(tile, np.zeros(shape, np.float32))
        held = [value for value in vars(blender).values() if isinstance(value, np.ndarray)]
        # an array that is a view keeps all of what it is a view of
        floats = sum(value.size if value.base is None else value.base.size for value in held)
        assert floats <= 2 * (2 * BLEND * width) + 2 * BLEND * (max(size, shift) + 4 * BLEND)


def test_memory_does_not_grow_with_the_number_of_rows() -> None:
    peaks = []
    for height in (1024, 8192):
        blender, image = Blender(512), np.zeros((512, 512), np.float32)
        tracemalloc.start()
        for tile in cut_tiles(height, 512, 256, 16):
            rows, columns = (part.stop - part.start for part in tile.read)
            blender.add(tile, image[:rows, :columns])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2
