from pathlib import Path

import numpy as np
import pytest
import rasterio
from generated_scenes import write_raster, write_scene_pair
from rasterio.windows import Window
from scene_measures import alone, fused_scene, meet, scene_in, seam_ratio, whole_scene

from fusion_core.models.baselines import BaselineFuser
from fusion_core.models.fuser import load_fuser
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.tiling.grid import cut_tiles
from fusion_core.models.tiling.tile_fuser import tile_fuser
from fusion_core.settings.scenes import SceneSettings


@pytest.mark.parametrize("shift", [0, 96])
def test_no_border_between_tiles_shows(tmp_path: Path, packaged: NetworkFuser, shift: int) -> None:
    write_scene_pair(tmp_path, "a", (600, 640), bands=1)
    with scene_in(tmp_path) as pair:
        tiles = cut_tiles(*pair.size, 256, packaged.receptive_radius, shift=shift)
        shared = meet(pair, tiles, tile_fuser(pair, packaged))
        assert seam_ratio(shared.blended, tiles) < 1.05
        # blending hides nothing, for there is nothing to hide
        assert seam_ratio(shared.abutted, tiles) < 1.05
        assert shared.apart < 0.1


def test_tiles_that_pool_on_their_own_do_not_meet(tmp_path: Path, packaged: NetworkFuser) -> None:
    """So that the measurements above are seen to notice."""
    write_scene_pair(tmp_path, "a", (600, 640), bands=1)
    with scene_in(tmp_path) as pair:
        tiles = cut_tiles(*pair.size, 256, packaged.receptive_radius)
        single = meet(pair, tiles, lambda _, pixels: alone(packaged, pixels))
        assert seam_ratio(single.abutted, tiles) > 1.05
        assert single.apart > 2
        # blended over 32 pixels there's no step any more, and still another image
        whole = alone(packaged, whole_scene(pair))
        assert 255 * np.abs(single.blended - whole).mean() > 2


@pytest.mark.slow
@pytest.mark.long
def test_no_border_shows_on_a_satellite_scene_cut_at_its_collar(
    tmp_path: Path, packaged: NetworkFuser, shared_data: Path
) -> None:
    side = 832  # 24 patches of 32 are 768: the scene is sampled
    for name, band in (("ir", "B4"), ("vi", "B2")):
        (path,) = (shared_data / "landsat").glob(f"*_{band}.tif")
        with rasterio.open(path) as scene:
            window = Window(0, 0, side, side)
            place = {"crs": scene.crs, "transform": scene.transform}
            write_raster(tmp_path / name / "a.tif", scene.read(1, window=window), **place)
    with scene_in(tmp_path, nodata=0) as pair:
        whole = alone(packaged, whole_scene(pair))
        for shift in (0, 96):
            tiles = cut_tiles(*pair.size, 256, packaged.receptive_radius, shift=shift)
            shared = meet(pair, tiles, tile_fuser(pair, packaged))
            assert seam_ratio(shared.blended, tiles) < 1.05
            assert seam_ratio(shared.abutted, tiles) < 1.05
            assert shared.apart < 0.1
            assert 255 * np.abs(shared.blended - whole).mean() < 0.5
        single = meet(pair, tiles, lambda _, pixels: alone(packaged, pixels))
        assert seam_ratio(single.abutted, tiles) > 1.15
        assert single.apart > 2


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(400)
def test_a_large_scene_in_tiles_is_nearly_what_the_network_makes_of_the_whole(
    tmp_path: Path, packaged: NetworkFuser
) -> None:
    write_scene_pair(tmp_path, "a", (2000, 2000), bands=1, nodata=None, seed=8)
    with scene_in(tmp_path) as pair:
        tiles = cut_tiles(*pair.size, SceneSettings().tile_size, packaged.receptive_radius)
        assert len(tiles) == 9
        tiled = fused_scene(pair, packaged, tiles)
        whole = alone(packaged, whole_scene(pair))
    levels = 255 * np.abs(tiled - whole)
    # Measured: mean 0.43, 99th percentile 1.4, largest 2.8, because the scene pools over a part of
    # its pixels. Tiles that pool on their own are off by 9.7, 27 and 52.
    assert levels.mean() < 1
    assert np.percentile(levels, 99) < 3
    assert levels.max() < 6


@pytest.mark.parametrize("size", [(300, 340), (129, 200)])
def test_a_scene_no_larger_than_its_patches_pools_as_a_whole(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    """Tiles are the whole image then, but for what lies beyond the reach."""
    write_scene_pair(tmp_path, "a", size, bands=1)
    fuser = load_fuser(device="cpu", precision="fp32")
    with scene_in(tmp_path) as pair:
        tiled = fused_scene(pair, fuser, cut_tiles(*pair.size, 128, fuser.receptive_radius))
        whole = alone(fuser, whole_scene(pair))
    assert 255 * np.abs(tiled - whole).max() < 0.2


@pytest.mark.parametrize("fuser", [BaselineFuser("laplacian", "cpu"), BaselineFuser("mean", "cpu")])
def test_a_baseline_needs_no_pooling_and_is_exact(tmp_path: Path, fuser: BaselineFuser) -> None:
    write_scene_pair(tmp_path, "a", (300, 340))
    with scene_in(tmp_path) as pair:
        tiled = fused_scene(pair, fuser, cut_tiles(*pair.size, 128, fuser.receptive_radius))
        np.testing.assert_allclose(tiled, alone(fuser, whole_scene(pair)), rtol=0, atol=1e-5)


# Reading, fusing and writing at the same time
