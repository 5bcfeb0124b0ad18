import pytest
import torch
from torch import Tensor

from fusion_core.training.loss_config import LossConfig
from fusion_core.training.saliency_masks import contrast, saliency, source_masks


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
