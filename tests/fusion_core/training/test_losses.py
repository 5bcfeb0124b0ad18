import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fusion_core.training.batch import Batch
from fusion_core.training.brightness_losses import sky_loss, spread_loss
from fusion_core.training.dim_infrared import brighter_source
from fusion_core.training.gradient_losses import gradient_loss, texture_loss
from fusion_core.training.loss_config import PAPER_LOSS, LossConfig
from fusion_core.training.losses import (
    loss_terms,
    masked_intensity_loss,
    max_intensity_loss,
    mean_intensity_loss,
)
from fusion_core.training.metric_losses import correlation_loss, fidelity_loss
from fusion_core.training.saliency_masks import SourceMasks, source_masks


def image(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)[None, None]


def test_masked_intensity_counts_each_source_only_where_its_mask_is_set() -> None:
    fused, ir, vi = image([0.5, 0.5]), image([1.0, 0.0]), image([0.1, 0.2])
    masks = SourceMasks(image([1.0, 0.0]), image([1.0, 1.0]))
    found = masked_intensity_loss(fused, ir, vi, masks)
    assert float(found) == pytest.approx(0.5 / 2 + (0.4 + 0.3) / 2)


def test_intensity_of_the_ablations() -> None:
    fused, ir, vi = image([0.5, 0.5]), image([1.0, 0.0]), image([0.1, 0.2])
    assert float(mean_intensity_loss(fused, ir, vi)) == pytest.approx(0.5 + 0.35)
    assert float(max_intensity_loss(fused, ir, vi)) == pytest.approx((0.5 + 0.3) / 2)


def test_the_terms_are_named_and_left_out_at_weight_zero() -> None:
    fused, ir, vi = (torch.rand(1, 1, 20, 20) for _ in range(3))
    masks = source_masks(ir, vi, LossConfig())
    weights = {"gradient_weight": 2, "correlation_weight": 3, "fidelity_weight": 4}
    weights |= {"spread_weight": 5, "sky_weight": 6, "black_weight": 0}
    config = LossConfig.model_validate({"texture_weight": 0, "texture_gain": 1.2} | weights)
    terms = loss_terms(fused, Batch(ir, vi, masks), config)
    names = ["intensity", "gradient", "fidelity", "correlation", "spread", "sky"]
    assert list(terms) == names
    whole = torch.ones(1, 1, 1, 1)
    losses = (
        2 * gradient_loss(fused, ir, vi, 1.2),
        4 * fidelity_loss(fused, ir, vi),
        3 * correlation_loss(fused, ir, vi),
        5 * spread_loss(fused, ir, vi, whole),
        6 * sky_loss(fused, ir, vi),
    )
    assert [float(terms[name]) for name in names[1:]] == pytest.approx([*map(float, losses)])


def test_a_dim_pair_is_held_against_its_brighter_source_and_no_sum_of_both() -> None:
    torch.manual_seed(2)
    ir, vi = 0.2 * torch.rand(1, 1, 40, 40), torch.rand(1, 1, 40, 40)
    batch = Batch(ir, vi, source_masks(ir, vi, LossConfig()))
    whole = {"texture_gain": 1.0, "intensity": "mean", "spread_weight": 1, "dim_share": 1}
    config = LossConfig.model_validate(whole)
    terms = loss_terms(brighter_source(ir, vi), batch, config)
    assert [float(terms[name]) for name in ("intensity", "texture", "gradient")] == pytest.approx(
        [0, 0, 0], abs=1e-5
    )
    assert (float(terms["correlation"]), float(terms["spread"])) == (0, 0)
    without = LossConfig.model_validate(whole | {"dim_share": 0})
    assert float(loss_terms(brighter_source(ir, vi), batch, without)["intensity"]) > 0.1


def test_the_sum_is_weighted_and_each_ablation_drops_its_part() -> None:
    fused, ir, vi = (torch.rand(1, 1, 8, 8) for _ in range(3))
    masks = source_masks(ir, vi, LossConfig())
    masked, mean = masked_intensity_loss(fused, ir, vi, masks), mean_intensity_loss(fused, ir, vi)
    texture = texture_loss(fused, ir, vi)

    def loss(**changes: object) -> float:
        config = LossConfig.model_validate({**PAPER_LOSS, **changes})
        return float(sum(loss_terms(fused, Batch(ir, vi, masks), config).values()))

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
