import pytest
import torch
from torch import Tensor

from fusion_core.training.dim_infrared import brighter_source, dimness, wanted


def flat(*levels: float, size: int = 64) -> Tensor:
    return torch.tensor(levels)[:, None, None, None].expand(-1, 1, size, size).clone()


def test_dimness_falls_from_one_to_none_between_its_limits() -> None:
    found = dimness(flat(0.0, 0.2, 0.275, 0.35, 0.6))
    assert found.shape == (5, 1, 1, 1)
    assert found.flatten().tolist() == pytest.approx([1, 1, 0.5, 0, 0], abs=1e-5)


def test_the_brighter_source_counts_and_what_is_hot_stands_on_top() -> None:
    ir, vi = flat(0.1), flat(0.5)
    vi[..., 40:, :] = 0.02
    ir[..., 10:14, 10:14] = 0.3
    found = brighter_source(ir, vi)
    far = found[..., 40:64, 40:64]
    assert torch.equal(far, torch.maximum(ir, vi)[..., 40:64, 40:64])
    hot = found[0, 0, 10:14, 10:14] - 0.5
    # Of its excess of 0.2 over the cold around it, half is added; the mean has a little of itself.
    assert hot.min() > 0.5 * 0.19
    assert hot.max() < 0.5 * 0.2
    assert found[0, 0, 20, 20] == 0.5


def test_what_is_flat_has_nothing_hot_and_white_is_the_end() -> None:
    assert torch.equal(brighter_source(flat(0.1), flat(0.5)), flat(0.5))
    ir = flat(0.05)
    ir[..., 30:33, 30:33] = 1
    assert brighter_source(ir, flat(0.9)).max() == 1


def test_sources_that_are_not_dim_are_left_alone() -> None:
    ir, vi = flat(0.5), torch.rand(1, 1, 64, 64)
    found = wanted(ir, vi, 1.0, 1.1)
    assert found.levels == found.edges == (ir, vi)
    assert not found.dim.any()
    dark = wanted(flat(0.1), vi, 0.0, 1.1)
    assert dark.levels[1] is vi, "a share of 0 switches it off"
    assert not dark.dim.any()


def test_in_a_dim_pair_both_sources_are_the_brighter_one_with_more_contrast() -> None:
    torch.manual_seed(3)
    ir, vi = 0.2 * torch.rand(1, 1, 64, 64), 0.2 + 0.6 * torch.rand(1, 1, 64, 64)
    found, brighter = wanted(ir, vi, 1.0, 1.1), brighter_source(ir, vi)
    assert found.dim.flatten().tolist() == [1]
    for edges in found.edges:
        torch.testing.assert_close(edges, brighter)
    torch.testing.assert_close(found.levels[0], found.levels[1])
    middle = (..., slice(24, 40), slice(24, 40))  # whose surroundings are the whole crop
    excess = (brighter - brighter.mean())[middle]
    lifted = (found.levels[0] - brighter.mean())[middle]
    inside = (found.levels[0][middle] > 0) & (found.levels[0][middle] < 1)
    torch.testing.assert_close(lifted[inside], 1.1 * excess[inside], atol=0.01, rtol=0)
    assert inside.float().mean() > 0.9


def test_half_a_share_goes_half_the_way() -> None:
    torch.manual_seed(4)
    ir, vi = 0.2 * torch.rand(1, 1, 64, 64), torch.rand(1, 1, 64, 64)
    whole, half = (wanted(ir, vi, share, 1.0) for share in (1.0, 0.5))
    assert half.dim.item() == pytest.approx(0.5)
    torch.testing.assert_close(half.edges[0], (ir + whole.edges[0]) / 2)
