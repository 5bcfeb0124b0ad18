import pytest
import torch
from torch import Tensor

from fusion_core.training.brightness_losses import black_loss, sky_loss, spread_loss

ALL = torch.ones(1, 1, 1, 1)


def flat(level: float, size: int = 64) -> Tensor:
    return torch.full((1, 1, size, size), level)


def stripes(dark: float, bright: float) -> Tensor:
    image = flat(dark, 8)
    image[..., ::2] = bright
    return image


def test_spread_asks_for_the_deviation_of_both_sources_added_as_if_independent() -> None:
    # Half a stripe's height is its deviation, sqrt(64 / 63) times that by the unbiased estimate.
    ir, vi = stripes(0.4, 0.6), stripes(0.2, 0.4).mT
    unbiased = (64 / 63) ** 0.5
    missing = unbiased * (0.02**0.5 - 0.1)
    assert float(spread_loss(ir, ir, vi, ALL)) == pytest.approx(missing, rel=1e-5)
    assert float(spread_loss(stripes(0.2, 0.8), ir, vi, ALL)) == 0, "more than that is free"
    assert float(spread_loss(ir, ir, vi, ALL / 2)) == pytest.approx(missing / 2, rel=1e-5)
    assert float(spread_loss(ir, ir, vi, 0 * ALL)) == 0


def test_spread_asks_for_no_more_than_an_image_can_have() -> None:
    loudest = stripes(0.0, 1.0)
    found = spread_loss(flat(0.5, 8), loudest, loudest, ALL)
    assert float(found) == pytest.approx(0.3)


def test_a_darkened_sky_costs_what_it_lacks() -> None:
    ir, vi = flat(0.2), flat(0.9)
    assert float(sky_loss(vi, ir, vi)) == 0
    assert float(sky_loss(flat(1.0), ir, vi)) == 0, "brighter is free"
    assert float(sky_loss(flat(0.5), ir, vi)) == pytest.approx(0.4)


@pytest.mark.parametrize("case", ["dark", "rough", "colder"])
def test_what_is_no_bright_sky_costs_nothing(case: str) -> None:
    ir, vi = flat(0.2), flat(0.9)
    if case == "dark":
        vi = flat(0.6)
    elif case == "rough":
        vi[..., ::2] = 0.7
    else:
        ir = flat(0.95)
    assert float(sky_loss(flat(0.3), ir, vi)) == 0


def test_light_costs_where_both_sources_are_black_alone() -> None:
    ir, vi = flat(0.0), flat(0.0)
    vi[..., :32] = 0.1
    ir[..., :16, :] = 0.1
    # A half has no visible light, three quarters of that no infrared either.
    assert float(black_loss(flat(0.2), ir, vi)) == pytest.approx(0.2 * 0.5 * 0.75)
    assert float(black_loss(flat(0.0), ir, vi)) == 0
