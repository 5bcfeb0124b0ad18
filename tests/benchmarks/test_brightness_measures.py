import numpy as np
import pytest
from brightness_measures import brightness
from weight_sets import Pair


def flat(level: int) -> np.ndarray:
    return np.full((60, 60), level, np.uint8)


def test_a_sky_is_bright_and_flat_and_in_the_upper_half() -> None:
    vi, ir, fused = flat(100), flat(40), flat(150)
    vi[:40] = 230
    fused[:40] = 200
    vi[:40, 40:] = np.where(np.arange(20) % 2, 180, 255)  # rough
    fused[:40, 40:] = 0
    found = brightness([(Pair("a", ir, vi), fused)])
    assert (found["sky"], found["sky_visible"], found["sky_infrared"]) == (200, 230, 40)


def test_black_is_what_both_sources_have_black_away_from_the_rim() -> None:
    vi, ir, fused = flat(0), flat(0), flat(0)
    ir[:30] = 9
    fused[28:33] = 200  # the rim
    fused[40:, :30] = 2
    found = brightness([(Pair("a", ir, vi), fused)])
    inside = np.zeros((60, 60), bool)
    inside[33:57, 3:57] = True
    assert found["black"] == pytest.approx(fused[inside].mean(), abs=1e-3)
    assert found["black_zeros"] == pytest.approx((fused[inside] == 0).mean(), abs=1e-3)


def test_the_rim_of_what_is_hot_is_compared_with_both_sources() -> None:
    ir, vi = flat(20), flat(100)
    ir[28:32, 28:32] = 250
    dark, light = flat(100), flat(100)
    dark[20:40, 20:40] = 10  # 10 below the darker source, of which 3 are free
    light[20:40, 20:40] = 120
    darker, lighter = (brightness([(Pair("a", ir, vi), one)]) for one in (dark, light))
    assert darker["rim_darker"] > 6
    assert darker["rim_brighter"] == 0
    assert lighter["rim_brighter"] > 15
    assert brightness([(Pair("a", ir, vi), flat(60))])["rim_darker"] == 0
