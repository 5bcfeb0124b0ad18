import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pooling_network import SMALL, WHOLE_REACH, pair_of, tiled, vivid
from torch.nn import functional

from fusion_core.models.blocks import PSIM
from fusion_core.models.fuser import load_fuser
from fusion_core.models.grid_sampling import sampling_matrix
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import PreviewPooling, ScenePooling, TilePooling


@settings(max_examples=60)
@given(cells=st.integers(1, 24), count=st.integers(1, 90))
def test_over_the_whole_it_is_the_interpolation_of_torch(cells: int, count: int) -> None:
    grid = torch.rand(1, 1, cells, generator=torch.Generator().manual_seed(cells))
    expected = functional.interpolate(grid, size=count, mode="linear", align_corners=False)
    found = sampling_matrix(cells, count, 0, 1) @ grid[0, 0]
    torch.testing.assert_close(found, expected[0, 0], atol=2e-6, rtol=0)


def test_both_sides_together_are_bilinear() -> None:
    grid = torch.rand(1, 3, 5, 7, generator=torch.Generator().manual_seed(1))
    expected = functional.interpolate(grid, size=(31, 44), mode="bilinear", align_corners=False)
    found = sampling_matrix(5, 31, 0, 1) @ grid @ sampling_matrix(7, 44, 0, 1).mT
    torch.testing.assert_close(found, expected, atol=2e-6, rtol=0)


@settings(max_examples=60)
@given(cells=st.integers(1, 24), count=st.integers(2, 200), data=st.data())
def test_a_part_is_the_crop_of_the_whole(cells: int, count: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    part = sampling_matrix(cells, stop - start, start / count, (stop - start) / count)
    torch.testing.assert_close(
        part, sampling_matrix(cells, count, 0, 1)[start:stop], atol=1e-5, rtol=0
    )


def test_a_sampling_by_hand() -> None:
    # cells lie at 1/4 and 3/4, places at 1/8, 3/8, 5/8, 7/8
    expected = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    assert torch.equal(sampling_matrix(2, 4, 0, 1), expected)
    # padded beyond both ends, the outermost cells go on
    outside = sampling_matrix(2, 8, -0.5, 2)
    assert torch.equal(outside[:2], torch.tensor([[1.0, 0], [1, 0]]))
    assert torch.equal(outside[2:6], expected)


def test_every_row_is_a_weighted_mean_however_large_the_scene() -> None:
    matrix = sampling_matrix(24, 800, 0.7123, 800 / 100_000)
    assert float(matrix.min()) >= 0
    torch.testing.assert_close(matrix.sum(1), torch.ones(800), atol=1e-6, rtol=0)
    # all within cells 16 and 17, in even steps of 24 cells over 100 000 pixels
    steps = matrix[:, 17].diff()
    torch.testing.assert_close(steps, torch.full((799,), 24 / 100_000), atol=2e-7, rtol=0)


@pytest.mark.parametrize("shift", [0, 48])
@pytest.mark.parametrize("size", [(200, 264), (193, 301), (130, 90)])
def test_tiles_of_an_image_that_pooled_over_itself_are_the_whole_image(
    size: tuple[int, int], shift: int
) -> None:
    fuser = NetworkFuser(vivid(), "cpu", "fp32")
    ir, vi = pair_of(*size)
    whole = fuser(ir, vi)
    assert whole.std() > 0.005
    pooling = fuser.pool(ir, vi, *size)
    shared = tiled(fuser, ir, vi, pooling, WHOLE_REACH, shift)
    torch.testing.assert_close(shared, whole, atol=1e-6, rtol=0)


def test_tiles_that_pool_over_themselves_are_others() -> None:
    fuser = NetworkFuser(vivid(), "cpu", "fp32")
    ir, vi = pair_of(200, 264)
    alone = tiled(fuser, ir, vi, None, WHOLE_REACH)
    assert (alone - fuser(ir, vi)).abs().max() > 1e-3


def test_the_packaged_network_in_tiles_is_the_whole_image() -> None:
    fuser = load_fuser(device="cpu", precision="fp32")
    assert isinstance(fuser, NetworkFuser)
    ir, vi = pair_of(176, 240)
    whole = fuser(ir, vi)
    pooling = fuser.pool(ir, vi, 176, 240)
    torch.testing.assert_close(tiled(fuser, ir, vi, pooling, WHOLE_REACH), whole, atol=1e-5, rtol=0)
    # with the radius that scenes are cut by, it stays below a tenth of a grey level
    near = tiled(fuser, ir, vi, pooling, fuser.receptive_radius)
    assert (near - whole).abs().max() < 0.1 / 255
    alone = tiled(fuser, ir, vi, None, WHOLE_REACH)
    assert (alone - whole).abs().mean() > 1 / 255


@pytest.mark.parametrize(
    "switches", [{"psim": False}, {"fim": False}, {"sfim": False}, {"levels": 3}]
)
def test_each_pooling_block_is_shared_on_its_own(switches: dict[str, object]) -> None:
    config = SMALL.model_copy(update=switches)
    fuser = NetworkFuser(vivid(config), "cpu", "fp32")
    assert fuser.cells == 4
    ir, vi = pair_of(200, 152)
    whole = fuser(ir, vi)
    pooling = fuser.pool(ir, vi, 200, 152)
    assert sorted(pooling.preview.grids) == ([] if not config.psim else [2, 3][: config.levels - 2])
    assert (pooling.preview.channel_weights is None) == (not config.fim)
    shared = tiled(fuser, ir, vi, pooling, WHOLE_REACH)
    torch.testing.assert_close(shared, whole, atol=1e-6, rtol=0)
    assert (tiled(fuser, ir, vi, None, WHOLE_REACH) - whole).abs().max() > 1e-5


@pytest.mark.parametrize("switches", [{"levels": 1}, {"levels": 2}, {"psim": False, "fim": False}])
def test_a_network_that_pools_nothing_has_no_cells_and_needs_no_sharing(
    switches: dict[str, object],
) -> None:
    fuser = NetworkFuser(vivid(SMALL.model_copy(update=switches)), "cpu", "fp32")
    assert fuser.cells == 0
    ir, vi = pair_of(150, 152)
    alone = tiled(fuser, ir, vi, None, WHOLE_REACH)
    torch.testing.assert_close(alone, fuser(ir, vi), atol=1e-5, rtol=0)


def test_a_preview_pools_as_the_image_itself_does() -> None:
    model = vivid().eval()
    ir, vi = pair_of(64, 96)
    preview = PreviewPooling()
    with torch.inference_mode():
        assert torch.equal(model(ir, vi, preview), model(ir, vi))
    assert [grid.shape for grid in preview.grids.values()] == [(1, 16, 4, 4), (1, 16, 4, 4)]
    assert preview.channel_weights is not None
    assert preview.channel_weights.shape == (1, 6, 1, 1)


def test_a_tile_finds_its_place_in_a_padded_preview_of_another_scale() -> None:
    preview = PreviewPooling()
    scene = ScenePooling(
        preview, preview_size=(100, 50), scene_size=(1000, 500), multiple=8, margin=8
    )
    tile = scene.tile(slice(0, 1000), slice(160, 320))
    # 100 + 16 is padded to 120, 1000 + 16 to 1016: a tenth of that is 101.6, from 8 - 0.8 on
    assert tile.preview is preview
    assert tile == TilePooling(
        preview,
        (pytest.approx(7.2 / 120), pytest.approx(101.6 / 120)),
        (pytest.approx(23.2 / 72), pytest.approx(17.6 / 72)),
    )


def test_a_tile_takes_its_part_in_the_precision_of_the_features() -> None:
    preview = PreviewPooling({2: torch.arange(8.0).view(1, 2, 2, 2)})
    tile = TilePooling(preview, (0, 1), (0.5, 0.5))
    features = torch.zeros(1, 1, 4, 2, dtype=torch.bfloat16)
    found = tile.attended(2, PSIM(1, 2), features, features)
    assert found.dtype == torch.bfloat16
    assert found.shape == (1, 2, 4, 2)
    # columns lie at 5/8 and 7/8: three quarters of the way from one cell to the other, and at it
    assert found[0, 0, 0].tolist() == [0.75, 1]
    assert found[0, 1, -1].tolist() == [6.75, 7]
