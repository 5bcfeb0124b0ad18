from pathlib import Path

import numpy as np
import pytest
import rasterio
from generated_scenes import collar, write_scene_pair
from scene_measures import Image, fused_scene, scene_in, whole_scene
from tiny import tiny_fuser

from fusion_core.models.baselines import BaselineFuser
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.tiling.grid import cut_tiles
from fusion_core.models.tiling.tile_fuser import PATCH, tile_fuser
from fusion_core.scenes.pair import ScenePair
from fusion_core.scenes.raster import gdal_settings


def test_a_scene_larger_than_its_patches_is_sampled_from_the_middle_of_each_cell(
    tmp_path: Path,
) -> None:
    write_scene_pair(tmp_path, "a", (90, 200), bands=1, nodata=None)
    with scene_in(tmp_path) as pair:
        everything = whole_scene(pair)
        ir, vi = pair.patches(3, 32)
        assert ir.shape == vi.shape == (90, 96)  # rows are taken whole: 3 x 32 covers them
        for k, start in enumerate((17, 84, 150)):  # 200 / 6 - 16, 200 / 2 - 16, 5 * 200 / 6 - 16
            columns = slice(start, start + 32)
            assert (ir[:, 32 * k : 32 * k + 32] == everything.ir[:, columns]).all()
            assert (vi[:, 32 * k : 32 * k + 32] == everything.vi[:, columns]).all()
        both, _ = pair.patches(2, 16)
        assert both.shape == (32, 32)
        assert (both[16:, 16:] == everything.ir[59 : 59 + 16, 142 : 142 + 16]).all()


@pytest.mark.parametrize("size", [(32, 40), (1, 96), (96, 1), (64, 96)])
def test_a_scene_that_patches_would_cover_is_taken_whole(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    write_scene_pair(tmp_path, "a", size, bands=1, nodata=None)
    with scene_in(tmp_path) as pair:
        ir, vi = pair.patches(3, 32)
        assert (ir == whole_scene(pair).ir).all()
        assert (vi == whole_scene(pair).vi).all()


def test_a_network_pools_over_one_patch_for_each_of_its_cells(
    tmp_path: Path, packaged: NetworkFuser, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scene_pair(tmp_path, "a", (130, 140), bands=1)
    asked: list[tuple[int, int]] = []
    patches = ScenePair.patches

    def watched(self: ScenePair, cells: int, side: int) -> tuple[Image, Image]:
        asked.append((cells, side))
        return patches(self, cells, side)

    monkeypatch.setattr(ScenePair, "patches", watched)
    with scene_in(tmp_path) as pair:
        tile_fuser(pair, packaged)
        assert asked == [(24, PATCH)]
        tile_fuser(pair, tiny_fuser())  # of two levels, which pools nothing
        tile_fuser(pair, BaselineFuser("mean", "cpu"))
        assert asked == [(24, PATCH)]


def rewritten(folder: Path, nodata: int, junk: int) -> None:
    """Write a scene whose pixels without data hold ``junk`` below an internal mask."""
    rng = np.random.default_rng(1)
    for side in ("ir", "vi"):
        path = folder / side / "a.tif"
        with rasterio.open(path) as scene:
            bands, profile = scene.read(), scene.profile
        absent = (bands == nodata).any(axis=0)
        bands[:, absent] = rng.integers(0, junk + 1, (len(bands), int(absent.sum())))
        profile.pop("nodata")
        with gdal_settings(64), rasterio.open(path, "w", **profile) as target:
            target.write(bands)
            target.write_mask(~absent)


def test_what_lies_under_a_mask_does_not_influence_the_fused_scene(tmp_path: Path) -> None:
    results = []
    fuser = tiny_fuser()
    for junk in (0, 60_000):
        folder = tmp_path / str(junk)
        write_scene_pair(folder, "a", (200, 216), bands=2)
        rewritten(folder, 0, junk)
        with scene_in(folder) as pair:
            everything = whole_scene(pair)
            assert (everything.valid == collar((200, 216))).all()
            tiled = fused_scene(pair, fuser, cut_tiles(*pair.size, 128, fuser.receptive_radius))
            results.append((everything.ir, everything.vi, tiled, pair.scalings))
    for first, second in zip(*results, strict=True):
        assert np.array_equal(first, second) if isinstance(first, np.ndarray) else first == second


def test_tiles_fill_what_is_missing_as_the_whole_scene_does(tmp_path: Path) -> None:
    write_scene_pair(tmp_path, "a", (200, 216), bands=1)
    with scene_in(tmp_path) as pair:
        everything = whole_scene(pair)
        absent = ~everything.valid
        assert 0.1 < absent.mean() < 0.4
        # no cliff to black: what is filled in is as bright as the scene
        for side in (everything.ir, everything.vi):
            assert abs(side[absent].mean() - side[~absent].mean()) < 0.15
        for tile in cut_tiles(*pair.size, 128, 16):
            pixels = pair.read(tile.read)
            np.testing.assert_allclose(pixels.ir, everything.ir[tile.read], atol=1e-6)
            np.testing.assert_allclose(pixels.vi, everything.vi[tile.read], atol=1e-6)
            assert (pixels.valid == everything.valid[tile.read]).all()


def test_every_tile_is_scaled_as_the_whole_scene_is(tmp_path: Path) -> None:
    write_scene_pair(tmp_path, "a", (260, 150), bands=3, nodata=None)
    with scene_in(tmp_path) as pair:
        pixels = pair.read((slice(144, 260), slice(16, 100)))
        scaling = pair.vi_scaling
        expected = np.clip((pixels.luminance - scaling.low) / (scaling.high - scaling.low), 0, 1)
        np.testing.assert_allclose(pixels.vi, expected, atol=1e-6)
        assert pixels.bands.shape == (3, 116, 84)
        assert pixels.valid.all()
