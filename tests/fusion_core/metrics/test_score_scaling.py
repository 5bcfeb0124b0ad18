"""What ``score`` takes the values of arrays to mean: counts and ranges, as in a run."""

import numpy as np
import pytest

from fusion_core.errors import MetricError
from fusion_core.metrics import METRIC_NAMES, score


def grey(seed: int, shape: tuple[int, ...] = (44, 50)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def assert_equal_scores(found: dict[str, float], expected: dict[str, float]) -> None:
    for name in METRIC_NAMES:
        assert found[name] == pytest.approx(expected[name], rel=1e-12), name


def hot_counts(seed: int) -> np.ndarray:
    """What a camera of 14 bits writes: a scene of some hundred counts, and one hot target."""
    counts = 7200 + 2 * grey(seed).astype(np.uint16)
    counts[30:32, 40:42] = 16000
    return counts


def by_hand(image: np.ndarray, low: float, high: float) -> np.ndarray:
    scaled = (image.astype(np.float64) - low) * (255 / (high - low))
    return np.floor(np.clip(scaled, 0, 255) + 0.5).astype(np.uint8)


def test_counts_are_scaled_by_their_percentiles_and_the_fused_image_as_the_visible():
    ir, vi, fused = (hot_counts(seed) for seed in (1, 2, 3))
    of_ir, of_vi = (np.percentile(image, (0.5, 99.5)) for image in (ir, vi))
    expected = score(by_hand(ir, *of_ir), by_hand(vi, *of_vi), by_hand(fused, *of_vi))
    assert_equal_scores(score(ir, vi, fused), expected)
    assert expected["en"] > 7  # of the type's range it would be 1 to 3 grey levels
    assert score(ir, vi, fused, scaling="type")["en"] < 2


def test_a_fused_image_of_another_type_takes_its_own_types_range():
    ir, vi, fused = hot_counts(1), hot_counts(2), grey(3)
    of_ir, of_vi = (np.percentile(image, (5, 80)) for image in (ir, vi))
    expected = score(by_hand(ir, *of_ir), by_hand(vi, *of_vi), fused)
    assert_equal_scores(score(ir, vi, fused, percentiles=(5, 80)), expected)
    assert_equal_scores(score(ir, vi, fused / 255, percentiles=(5, 80)), expected)


def test_ranges_are_in_the_units_of_their_images():
    ir, vi, fused = hot_counts(1), grey(2), grey(3)
    expected = score(by_hand(ir, 7200, 7700), by_hand(vi, 20, 90), by_hand(fused, 20, 90))
    for name in ("auto", "range"):
        ranges = {"ir_range": (7200, 7700), "vi_range": (20, 90)}
        assert_equal_scores(score(ir, vi, fused, scaling=name, **ranges), expected)


def test_colour_is_scaled_by_the_percentiles_of_its_luminance():
    vi = 7200 + 2 * grey(2, (44, 50, 3)).astype(np.uint16)
    low, high = np.percentile(vi @ np.array([0.299, 0.587, 0.114]), (0.5, 99.5))
    ir, fused = grey(1), grey(3)
    found = score(ir, vi, fused)
    assert_equal_scores(found, score(ir, vi, fused, vi_range=(low, high)))
    assert found != score(ir, vi, fused, scaling="type")


def test_floats_stay_as_they_are_whatever_the_other_image_takes():
    ir, vi, fused = hot_counts(1), grey(2) / 1000, grey(3) / 255
    expected = score(by_hand(ir, 7200, 7700), np.round(vi * 255).astype(np.uint8), grey(3))
    assert_equal_scores(score(ir, vi, fused, ir_range=(7200, 7700)), expected)


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ({"scaling": "range"}, "scaling is range and ir_range isn't set; expected both ranges"),
        ({"scaling": "type", "vi_range": (0, 9)}, "vi_range is set and scaling is type, which"),
        ({"scaling": "type", "percentiles": (1, 99)}, "so that none is taken; leave percentiles"),
        ({"percentiles": (99, 1)}, "percentiles are 99 and 1; expected two of 0 to 100"),
        ({"ir_range": (9, 3)}, "ir_range is .*; expected two numbers, the lower first"),
        ({"scaling": "minmax"}, "scaling is 'minmax'; expected one of auto, percentiles, range"),
    ],
)
def test_scalings_that_do_not_go_together_are_refused(scaling, message):
    with pytest.raises(MetricError, match=message):
        score(grey(1), grey(2), grey(3), **scaling)


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ({"vi_range": (0, 1)}, "vi_range is set and vi holds float64, .* expected uint8 or uint16"),
        ({"scaling": "percentiles"}, "scaling is percentiles and vi holds float64, whose values"),
    ],
)
def test_a_scaling_of_floats_is_refused(scaling, message):
    with pytest.raises(MetricError, match=message):
        score(grey(1), grey(2) / 255, grey(3), **scaling)
