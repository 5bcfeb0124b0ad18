import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fusion_core.losses import (
    LossConfig,
    SourceMasks,
    contrast,
    fusion_loss,
    gradient,
    masked_intensity_loss,
    max_intensity_loss,
    mean_intensity_loss,
    saliency,
    source_masks,
    texture_loss,
)


def image(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)[None, None]


def test_contrast_is_the_squared_distance_from_the_neighbourhood_mean() -> None:
    found = contrast(image([0.0, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 0.0, 0.0]), 3)
    assert float(found[0, 0, 1, 1]) == pytest.approx((0.9 - 0.1) ** 2)
    assert float(found[0, 0, 0, 0]) == pytest.approx((0.9 / 4) ** 2)  # 4 of 9 lie inside
    assert float(found[0, 0, 0, 1]) == pytest.approx((0.9 / 6) ** 2)


def test_contrast_of_a_flat_image_is_zero_to_the_border() -> None:
    assert contrast(torch.full((1, 1, 20, 20), 0.7), 11).max() < 1e-12


def test_saliency_needs_both_the_floor_and_the_distance_from_the_mean() -> None:
    ir = torch.full((1, 1, 10, 10), 0.2)
    ir[..., 0, 0] = 0.9
    assert saliency(ir, 1.2, 0.55).sum() == 1
    assert saliency(ir, 1.2, 0.95).sum() == 0
    assert saliency(torch.full((1, 1, 10, 10), 0.9), 1.2, 0.55).sum() == 0


def test_saliency_is_judged_for_each_image_alone() -> None:
    dark, bright = torch.full((1, 1, 10, 10), 0.1), torch.full((1, 1, 10, 10), 0.9)
    dark[..., 5, 5] = 0.6
    found = saliency(torch.cat((dark, bright)), 1.2, 0.55)
    assert found.flatten(1).sum(1).tolist() == [1, 0]


def test_masks_follow_the_rule_for_each_kind_of_pixel() -> None:
    # Columns: flat and cold, hot beside flat visible, and a visible edge far away from both.
    ir, vi = torch.full((1, 1, 9, 60), 0.2), torch.full((1, 1, 9, 60), 0.5)
    ir[..., 20:24] = 0.9
    vi[..., 50:] = 0.9
    masks = source_masks(ir, vi, LossConfig(neighbourhood=11))
    assert masks.ir[0, 0, 4, [0, 21, 50]].tolist() == [0, 1, 0]
    assert masks.vi[0, 0, 4, [0, 21, 50]].tolist() == [1, 0, 1]


def test_where_it_is_hot_the_visible_counts_only_with_the_higher_contrast() -> None:
    ir, vi = torch.full((1, 1, 40, 40), 0.2), torch.full((1, 1, 40, 40), 0.2)
    ir[..., 10:14, :] = 0.9
    vi[..., 10:14, :20] = 1.0
    vi[..., 10:14, 20:] = 0.6
    masks = source_masks(ir, vi, LossConfig(neighbourhood=11))
    assert masks.ir[0, 0, 11, [3, 36]].tolist() == [1, 1]
    assert masks.vi[0, 0, 11, [3, 36]].tolist() == [1, 0]


def test_a_label_takes_the_place_of_the_saliency_rule() -> None:
    flat = torch.full((1, 1, 6, 6), 0.2)
    label = torch.zeros_like(flat)
    label[..., :3] = 1
    masks = source_masks(flat, flat, LossConfig(), salient=label)
    assert torch.equal(masks.ir, label)
    assert torch.equal(masks.vi, 1 - label)


def test_gradient_adds_both_directions() -> None:
    step = image([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    assert gradient(step)[0, 0, 1].tolist() == [0, 4, 4, 0]
    assert torch.equal(gradient(step.mT), gradient(step).mT)
    corner = image([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    assert float(gradient(corner)[0, 0, 1, 1]) == 2  # |1| + |1|


def test_masked_intensity_counts_each_source_only_where_its_mask_is_set() -> None:
    fused, ir, vi = image([0.5, 0.5]), image([1.0, 0.0]), image([0.1, 0.2])
    masks = SourceMasks(image([1.0, 0.0]), image([1.0, 1.0]))
    found = masked_intensity_loss(fused, ir, vi, masks)
    assert float(found) == pytest.approx(0.5 / 2 + (0.4 + 0.3) / 2)


def test_intensity_of_the_ablations() -> None:
    fused, ir, vi = image([0.5, 0.5]), image([1.0, 0.0]), image([0.1, 0.2])
    assert float(mean_intensity_loss(fused, ir, vi)) == pytest.approx(0.5 + 0.35)
    assert float(max_intensity_loss(fused, ir, vi)) == pytest.approx((0.5 + 0.3) / 2)


def test_texture_wants_the_stronger_gradient_of_either_source() -> None:
    step = image([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    flat = torch.zeros_like(step)
    assert float(texture_loss(step, flat, step)) == 0
    assert float(texture_loss(step, step, flat)) == 0
    assert float(texture_loss(1 - step, flat, step)) == 0  # absolute: the sign is free
    assert float(texture_loss(flat, flat, step)) == pytest.approx(2)  # half the pixels miss 4


def test_the_sum_is_weighted_and_each_ablation_drops_its_part() -> None:
    fused, ir, vi = (torch.rand(1, 1, 8, 8) for _ in range(3))
    masks = source_masks(ir, vi, LossConfig())
    masked, mean = masked_intensity_loss(fused, ir, vi, masks), mean_intensity_loss(fused, ir, vi)
    texture = texture_loss(fused, ir, vi)

    def loss(**changes: object) -> float:
        config = LossConfig.model_validate(changes)
        return float(fusion_loss(fused, ir, vi, masks, config))

    full = loss(intensity_weight=5, texture_weight=2)
    assert full == pytest.approx(float(5 * masked + 2 * texture), rel=1e-5)
    assert loss(intensity_weight=1, texture_weight=0) == pytest.approx(float(masked))
    without_masks = loss(intensity="mean", intensity_weight=1, texture_weight=1)
    assert without_masks == pytest.approx(float(mean + texture))
    brightest = loss(intensity="max", intensity_weight=1, texture_weight=0)
    assert brightest == pytest.approx(float(max_intensity_loss(fused, ir, vi)))


@pytest.mark.parametrize(
    "settings", [{"intensity": "soft"}, {"neighbourhood": 10}, {"neighbourhood": 1}, {"lambda": 5}]
)
def test_config_refuses_what_it_does_not_know(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LossConfig.model_validate(settings)
