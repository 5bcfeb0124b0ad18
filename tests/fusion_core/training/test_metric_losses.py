import math

import pytest
import torch
from torch import Tensor

from fusion_core.metrics.functions import (
    edge_preservation,
    sum_of_correlations_of_differences,
    visual_information_fidelity,
)
from fusion_core.training.metric_losses import correlation_loss, edge_loss, fidelity_loss


def images(seed: int, count: int = 1, size: tuple[int, int] = (70, 91)) -> tuple[Tensor, ...]:
    """Return smooth random infrared, visible and fused images of whole grey values."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand((3, count, 1, 12, 12), generator=random).flatten(0, 1)
    smooth = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    ir, vi, noise = smooth.unflatten(0, (3, count))
    fused = (0.5 * ir + 0.4 * vi + 0.1 * noise).clamp(0, 1)
    return tuple((image * 255).round() for image in (ir, vi, fused))


def test_correlation_loss_is_two_less_the_metric() -> None:
    ir, vi, fused = images(1, count=3)
    expected = 2 - sum_of_correlations_of_differences(ir, vi, fused).mean()
    found = correlation_loss(fused / 255, ir / 255, vi / 255)
    assert float(found) == pytest.approx(float(expected), abs=1e-4)


def test_correlation_loss_by_hand() -> None:
    ir = torch.tensor([[0.0, 0.1], [0.2, 0.3]])[None, None]
    vi = torch.tensor([[0.3, 0.0], [0.0, 0.3]])[None, None]
    assert float(correlation_loss(ir + vi, ir, vi)) == pytest.approx(0, abs=1e-4)
    # The visible image alone adds nothing to itself, and its difference from the infrared,
    # (.3, -.1, -.2, 0), has the covariance 0.09 with its deviations, (.15, -.15, -.15, .15).
    expected = 2 - 0.09 / (0.09 * 0.14) ** 0.5
    assert float(correlation_loss(vi, ir, vi)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [(70, 91), (17, 40), (128, 128)])
def test_fidelity_loss_is_two_less_the_metric(size: tuple[int, int]) -> None:
    ir, vi, fused = images(2, size=size)
    expected = 2 - visual_information_fidelity(ir, vi, fused)
    found = fidelity_loss(fused / 255, ir / 255, vi / 255)
    assert float(found) == pytest.approx(float(expected), abs=2e-3)


def test_fidelity_of_equal_images_loses_nothing() -> None:
    ir, _, _ = images(3)
    assert float(fidelity_loss(ir / 255, ir / 255, ir / 255)) == pytest.approx(0, abs=1e-2)


def test_small_crops_are_refused() -> None:
    small = torch.zeros(1, 1, 16, 60)
    with pytest.raises(ValueError, match="at least 17 pixels"):
        fidelity_loss(small, small, small)


def test_edge_loss_is_about_one_less_the_metric() -> None:
    ir, vi, fused = images(4, count=2)
    expected = 1 - edge_preservation(ir, vi, fused)
    for k in range(2):
        one = (side[k : k + 1, ..., :, :] / 255 for side in (fused, ir, vi))
        # The metric sees zeros beyond the border, and rounds.
        assert float(edge_loss(*one)) == pytest.approx(float(expected[k]), abs=0.05)


def test_edge_loss_by_hand() -> None:
    step = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    kept = 0.9994 / (1 + math.exp(-15 * 0.5)) * 0.9879 / (1 + math.exp(-22 * 0.2))
    assert float(edge_loss(step, step, step)) == pytest.approx(1 - kept, abs=1e-3)
    # An upright edge says nothing of a level one, and one of half the strength is half kept.
    assert float(edge_loss(step.mT, step, step)) == pytest.approx(1, abs=0.05)
    half = 0.9994 / 2 * 0.9879 / (1 + math.exp(-22 * 0.2))
    assert float(edge_loss(step / 2, step, step)) == pytest.approx(1 - half, abs=1e-3)


@pytest.mark.parametrize("loss", [correlation_loss, edge_loss, fidelity_loss])
@pytest.mark.parametrize("flat", ["fused", "ir", "vi", "all", "equal"])
def test_gradients_are_finite_where_an_image_is_flat(loss: object, flat: str) -> None:
    ir, vi, fused = (image / 255 for image in images(4, count=2))
    ir = torch.full_like(ir, 0.3) if flat in ("ir", "all") else ir
    vi = torch.full_like(vi, 0.6) if flat in ("vi", "all") else vi
    fused = torch.full_like(fused, 0.5) if flat in ("fused", "all") else fused
    fused = (vi.clone() if flat == "equal" else fused).requires_grad_()
    value = loss(fused, ir, vi)  # type: ignore[operator]
    value.backward()
    assert value.isfinite()
    assert fused.grad is not None
    assert fused.grad.isfinite().all()


@pytest.mark.parametrize("loss", [correlation_loss, edge_loss, fidelity_loss])
def test_descending_the_loss_raises_the_metric(loss: object) -> None:
    ir, vi, fused = (image / 255 for image in images(5))
    picture = fused.clone().requires_grad_()
    before = loss(picture, ir, vi)  # type: ignore[operator]
    before.backward()
    assert picture.grad is not None
    step = picture.detach() - 0.01 * picture.grad / picture.grad.abs().max()
    assert loss(step, ir, vi) < before.detach()  # type: ignore[operator]


def test_a_training_goes_on_after_a_validation_of_the_same_size() -> None:
    ir, vi, fused = (image / 255 for image in images(4, size=(53, 59)))
    with torch.inference_mode():
        fidelity_loss(fused, ir, vi)
    fused.requires_grad_()
    fidelity_loss(fused, ir, vi).backward()
    assert fused.grad is not None
