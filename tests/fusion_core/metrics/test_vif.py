"""What VIF adds up, against sums of single logarithms in float64."""

import math

import pytest
import torch

from fusion_core.metrics.vif import _sum_log1p


def plain(maps: torch.Tensor) -> list[float]:
    """Add up one logarithm for each value of maps (N, H, W)."""
    return [math.fsum(math.log1p(float(value)) for value in part.flatten()) for part in maps]


@pytest.mark.parametrize("height", [1, 2, 3, 7, 8, 9, 16, 23])
@pytest.mark.parametrize("largest", [1e-9, 1e-4, 1.0, 8128.0])
def test_logarithms_of_products_add_up_like_single_ones(height: int, largest: float) -> None:
    random = torch.Generator().manual_seed(height)
    maps = torch.rand(2, height, 31, generator=random) * largest
    maps[0, 0, 0] = largest
    found = _sum_log1p(maps.clone(), None)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(plain(maps), rel=3e-7)


def test_the_largest_values_everywhere_do_not_overflow() -> None:
    maps = torch.full((1, 64, 50), 255.0**2 / 8)
    assert _sum_log1p(maps.clone(), None).tolist() == pytest.approx(plain(maps), rel=1e-6)


def test_what_does_not_count_has_no_part() -> None:
    maps = torch.arange(24.0).reshape(1, 6, 4)
    counted = torch.zeros(6, 4, dtype=torch.bool)
    counted[2, 1] = counted[5, 3] = True
    found = _sum_log1p(maps, counted)
    assert found.tolist() == pytest.approx([math.log1p(9) + math.log1p(23)], rel=1e-6)
