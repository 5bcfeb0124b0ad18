"""Cases worked out by hand, and every degenerate case of the definitions."""

import math

import numpy as np
import pytest
import torch

from fusion_core.errors import MetricError
from fusion_core.metrics import (
    METRIC_NAMES,
    average_gradient,
    edge_preservation,
    entropy,
    score_batch,
    spatial_frequency,
    structural_similarity,
    sum_of_correlations_of_differences,
    visual_information_fidelity,
)


def image(rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)[None, None]


def flat(value: float, side: int = 48) -> torch.Tensor:
    return torch.full((1, 1, side, side), value, dtype=torch.float64)


def noise(seed: int, side: int = 48, low: int = 0, high: int = 256) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(low, high, (1, 1, side, side), generator=generator).double()


A, B, F = noise(1), noise(2), noise(3)


# VIF


def test_vif_of_a_shifted_and_a_reversed_source_is_one_and_none():
    ir = noise(1, high=200)
    vif = visual_information_fidelity(ir, 255 - ir, ir + 50)
    assert vif.item() == pytest.approx(1, abs=1e-6)


def test_vif_of_one_window_and_half_the_contrast():
    ir = torch.zeros(1, 1, 17, 17, dtype=torch.float64)
    ir[..., 8, 8] = 200
    one_axis = [math.exp(-(i**2) / (2 * 3.4**2)) for i in range(-8, 9)]
    centre = 1 / sum(one_axis) ** 2
    variance = 200**2 * centre * (1 - centre)
    expected = 2 * math.log10(1 + variance / 4 / 2) / math.log10(1 + variance / 2)
    vif = visual_information_fidelity(ir, ir, ir / 2)
    assert vif.item() == pytest.approx(expected, rel=1e-5)


def test_vif_pools_information_over_scales_before_the_ratio():
    # A checkerboard is gone from the coarse scales, so halving it there costs nothing.
    checks = (torch.arange(64)[:, None] + torch.arange(64)[None, :]).remainder(2).double() * 100
    checks = checks[None, None]
    vif = visual_information_fidelity(checks, checks, checks / 2)
    taps = [math.exp(-(i**2) / (2 * 3.4**2)) for i in range(-8, 9)]
    lean = (sum(tap * (-1) ** i for i, tap in enumerate(taps)) / sum(taps)) ** 2
    variance = 50**2 * (1 - lean**2)
    expected = 2 * math.log(1 + variance / 8) / math.log(1 + variance / 2)
    assert vif.item() == pytest.approx(expected, rel=1e-3)


def test_vif_of_equal_images_is_two():
    assert visual_information_fidelity(A, A, A).item() == pytest.approx(2, abs=1e-5)


def test_vif_of_a_constant_fused_image_is_zero():
    assert visual_information_fidelity(A, B, flat(255)).item() == 0


@pytest.mark.parametrize("value", [0, 1, 100, 127, 255])
def test_vif_of_a_constant_source_is_undefined(value):
    assert visual_information_fidelity(flat(value), B, F).isnan().all()
    assert visual_information_fidelity(A, flat(value), F).isnan().all()


@pytest.mark.parametrize(("height", "width"), [(16, 48), (48, 16)])
def test_vif_refuses_sides_below_its_window(height, width):
    small = [x[..., :height, :width] for x in (A, B, F)]
    with pytest.raises(MetricError, match=rf"metric vif: .*{height} px high.* at least 17 px"):
        visual_information_fidelity(*small)
    assert visual_information_fidelity(*(x[..., :17, :17] for x in (A, B, F))).isfinite().all()


# AG and SF


def test_ag_of_a_ramp_divides_by_one_less_than_each_side():
    rows, columns = torch.meshgrid(torch.arange(5), torch.arange(8), indexing="ij")
    ramp = (4 * rows + 3 * columns).double()[None, None]
    expected = 5 * 8 * math.sqrt((3**2 + 4**2) / 2) / (4 * 7)
    assert average_gradient(ramp).item() == pytest.approx(expected, rel=1e-14)


def test_ag_has_central_differences_inside_and_one_sided_ones_at_the_border():
    expected = 2 * (0 + 2 + 4) / math.sqrt(2) / (1 * 2)
    assert average_gradient(image([[0, 0, 4], [0, 0, 4]])).item() == pytest.approx(expected)


def test_ag_and_sf_of_a_constant_image_are_zero():
    assert average_gradient(flat(77)).item() == 0
    assert spatial_frequency(flat(77)).item() == 0


@pytest.mark.parametrize("shape", [(1, 1, 1, 9), (1, 1, 9, 1), (1, 1, 1, 1)])
def test_ag_refuses_and_sf_leaves_undefined_a_side_of_one_pixel(shape):
    one_pixel_wide = torch.zeros(shape)
    with pytest.raises(MetricError, match=r"metric ag: .* at least 2 px"):
        average_gradient(one_pixel_wide)
    assert spatial_frequency(one_pixel_wide).isnan().all()


def test_sf_averages_each_direction_over_its_own_differences():
    # Vertical differences 1, 0, 3; horizontal ones 2, 4 and 1, 7.
    expected = math.sqrt((1 + 0 + 9) / 3 + (4 + 16 + 1 + 49) / 4)
    found = spatial_frequency(image([[10, 12, 16], [11, 12, 19]]))
    assert found.item() == pytest.approx(expected, rel=1e-14)


# SCD


def test_scd_of_three_pixels():
    # F - B = (1, 3, 6) with A, and F - A = (3, 2, 5) with B.
    expected = 5 / math.sqrt(114 / 9 * 2) + 1 / math.sqrt(42 / 9 * 2)
    found = sum_of_correlations_of_differences(
        image([[1, 2, 3]]), image([[3, 1, 2]]), image([[4, 4, 8]])
    )
    assert found.item() == pytest.approx(expected, rel=1e-14)


def test_scd_reaches_two_and_minus_two():
    ir, vi = noise(1, high=64), noise(2, high=64)
    both = sum_of_correlations_of_differences(ir, vi, ir + vi)
    assert both.item() == pytest.approx(2, abs=1e-12)
    # Both differences are 100 minus something that rises with the other source.
    twice = sum_of_correlations_of_differences(ir, ir, 200 - ir)
    assert twice.item() == pytest.approx(-2, abs=1e-12)


@pytest.mark.parametrize(
    ("ir", "vi", "fused"),
    [(A, B, A), (A, B, B), (flat(9), B, F), (A, flat(9), F), (A, A, A), (A // 2, B, A // 2 + 5)],
    ids=["fused=ir", "fused=vi", "constant ir", "constant vi", "all equal", "fused=ir+5"],
)
def test_scd_is_undefined_where_a_correlation_is(ir, vi, fused):
    assert sum_of_correlations_of_differences(ir, vi, fused).isnan().all()


def test_scd_of_a_constant_fused_image_is_defined():
    found = sum_of_correlations_of_differences(A, B, flat(9)).item()
    expected = -2 * np.corrcoef(A.ravel(), B.ravel())[0, 1]
    assert found == pytest.approx(expected, rel=1e-10)


# Qabf


def kept(strength_source, angle_source, strength_fused, angle_fused):
    if strength_source == strength_fused:
        ratio = strength_fused
    else:
        ratio = min(strength_source, strength_fused) / max(strength_source, strength_fused)
    alignment = 1 - abs(angle_source - angle_fused) / (math.pi / 2)
    strength = 0.9994 / (1 + math.exp(-15 * (ratio - 0.5)))
    return strength * 0.9879 / (1 + math.exp(-22 * (alignment - 0.8)))


def test_qabf_of_four_pixels_hangs_on_the_relative_sign_of_the_two_gradients():
    ir = image([[50, 0], [60, 0]])
    vi = image([[0, 80], [0, 0]])
    fused = image([[50, 3], [60, 1]])
    up = math.pi / 2
    # (gx, gy) of each pixel: left minus right, below minus above, zeros outside.
    edges_ir = [(0, 2 * 60), (2 * 50 + 60, 60), (0, -2 * 50), (2 * 60 + 50, -50)]
    edges_vi = [(-2 * 80, 0), (0, 0), (-80, -80), (0, -2 * 80)]
    edges_fused = [
        (-2 * 3 - 1, 2 * 60 + 1),
        (2 * 50 + 60, 2 * 1 + 60),
        (-2 * 1 - 3, -2 * 50 - 3),
        (2 * 60 + 50, -2 * 3 - 50),
    ]
    total = weight = 0.0
    for edges in (edges_ir, edges_vi):
        for (gx, gy), (fx, fy) in zip(edges, edges_fused, strict=True):
            strength = math.hypot(gx, gy)
            angle = math.atan(gy / gx) if gx else up
            angle_fused = math.atan(fy / fx)
            total += strength * kept(strength, angle, math.hypot(fx, fy), angle_fused)
            weight += strength
    found = edge_preservation(ir, vi, fused).item()
    assert found == pytest.approx(total / weight, rel=1e-7)
    # Upside down, every gy changes sign but +pi/2 doesn't.
    upside_down = [x.flip(-2) for x in (ir, vi, fused)]
    assert abs(edge_preservation(*upside_down).item() - found) > 0.01


def test_qabf_keeps_the_strength_as_the_ratio_where_strengths_are_equal():
    ones = image([[1, 0]])
    # One pixel has no edge, the other gx = 2 in all three images, hence ratio 2 there.
    assert edge_preservation(ones, ones, ones).item() == pytest.approx(kept(2, 0, 2, 0), rel=1e-7)
    assert kept(2, 0, 2, 0) > kept(2, 0, 2 + 1e-12, 0) + 1e-4


def test_qabf_of_equal_images_stays_below_its_bound():
    assert 0.975 < edge_preservation(A, A, A).item() < 0.9754


def test_qabf_of_constant_images_is_that_of_their_border():
    assert edge_preservation(*[flat(100)] * 3).item() == pytest.approx(0.9753, abs=5e-5)


def test_qabf_of_a_constant_fused_image_on_noise_is_small():
    assert edge_preservation(A, B, flat(100)).item() == pytest.approx(0.03, abs=0.02)


def test_qabf_of_a_black_fused_image_counts_its_edges_as_upright():
    source = image([[9, 0]])
    expected = kept(18, 0, 0, math.pi / 2)
    assert edge_preservation(source, source, flat(0, 2)[..., :1, :]).item() == pytest.approx(
        expected, rel=1e-7
    )


def test_qabf_without_any_edge_in_the_sources_is_undefined():
    assert edge_preservation(flat(0), flat(0), F).isnan().all()
    assert edge_preservation(*[flat(7, side=1)] * 3).isnan().all()
    assert edge_preservation(flat(0), B, F).isfinite().all()


# EN


def test_en_of_known_shares():
    assert entropy(flat(3)).item() == 0
    assert entropy(image([[0, 255], [255, 0]])).item() == pytest.approx(1, rel=1e-14)
    expected = 0.25 * 2 + 0.75 * math.log2(4 / 3)
    assert entropy(image([[7, 7], [7, 8]])).item() == pytest.approx(expected, rel=1e-14)
    every_level = torch.arange(256).view(1, 1, 16, 16).double()
    assert entropy(every_level).item() == pytest.approx(8, rel=1e-14)


# SSIM


def test_ssim_of_one_window_and_twice_the_contrast():
    ir = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    ir[..., 2, 5] = 49
    # Mean 1 and sample variance 49; the fused image has mean 2, variance 196, covariance 98.
    c1, c2 = 4e-4, 3.6e-3
    one = (2 * 2 + c1) * (2 * 98 + c2) / ((1 + 4 + c1) * (49 + 196 + c2))
    # The other source is its mirror image: mean 1, variance 49, covariance -2 * 49 / 48.
    other = (2 * 2 + c1) * (-4 * 49 / 48 + c2) / ((1 + 4 + c1) * (49 + 196 + c2))
    found = structural_similarity(ir, ir.flip(-1), 2 * ir)
    assert found.item() == pytest.approx(one + other, rel=1e-6)


def test_ssim_of_constant_images_is_that_of_their_means():
    expected = 2 * (2 * 100 * 75 + 4e-4) / (100**2 + 75**2 + 4e-4)
    found = structural_similarity(flat(100), flat(100), flat(75))
    assert found.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("same", [A, flat(0), flat(255)], ids=["noise", "black", "white"])
def test_ssim_of_equal_images_is_two(same):
    assert structural_similarity(same, same, same).item() == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize(("height", "width"), [(6, 20), (20, 6)])
def test_ssim_refuses_sides_below_its_window(height, width):
    small = [x[..., :height, :width] for x in (A, B, F)]
    with pytest.raises(MetricError, match=rf"metric ssim: .*{height} px high.* at least 7 px"):
        structural_similarity(*small)
    assert structural_similarity(*(x[..., :7, :7] for x in (A, B, F))).isfinite().all()


# All


def test_swapping_the_sources_changes_nothing():
    found, swapped = score_batch(A, B, F), score_batch(B, A, F)
    for name in METRIC_NAMES:
        assert swapped[name].item() == pytest.approx(found[name].item(), rel=1e-6), name


def test_transposing_the_images_changes_qabf_alone():
    found = score_batch(*(x[..., :40] for x in (A, B, F)))
    transposed = score_batch(*(x[..., :40].mT for x in (A, B, F)))
    for name in METRIC_NAMES:
        same = transposed[name].item() == pytest.approx(found[name].item(), rel=1e-6, abs=1e-6)
        assert same == (name != "qabf"), name
