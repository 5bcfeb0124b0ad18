import numpy as np
import pytest
import torch

from fusion_core.training.batch import Batch
from fusion_core.training.distillation_losses import distillation_terms
from fusion_core.training.gradient_losses import gradient_loss, sobel, texture_loss
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.losses import loss_terms

SOURCES = {"texture", "gradient"}  # what asks for the sources' gradients, whatever the teacher did


@pytest.fixture
def batch() -> Batch:
    random = torch.Generator().manual_seed(6)
    ir, vi = torch.rand((2, 3, 1, 24, 30), generator=random)
    return Batch(ir, vi, target=(0.3 * ir + 0.7 * vi))


def test_who_does_as_the_teacher_loses_nothing_by_it(batch: Batch) -> None:
    assert batch.target is not None
    terms = loss_terms(batch.target, batch, LossConfig())
    assert {name for name, term in terms.items() if float(term) > 1e-6} == SOURCES


def test_the_distance_is_that_of_pixels_and_of_gradients(batch: Batch) -> None:
    assert batch.target is not None
    terms = loss_terms(batch.ir, batch, LossConfig())
    difference = (batch.ir - batch.target).numpy()
    assert float(terms["teacher"]) == pytest.approx(float(np.abs(difference).mean()))
    gradients = (sobel(batch.ir) - sobel(batch.target)).numpy()
    expected = float(np.abs(gradients).sum(1).mean()) / 2
    assert float(terms["teacher_gradient"]) == pytest.approx(expected, rel=1e-5)


def test_half_the_contrast_is_seen_as_half(batch: Batch) -> None:
    assert batch.target is not None
    flat = 0.5 + (batch.target - 0.5) / 2
    contrast = distillation_terms(flat, batch, batch.target, LossConfig())["contrast"]
    assert float(contrast) == pytest.approx(0.2 * (0.5 + 0.5), rel=1e-2)


def test_weights_are_those_of_the_loss_and_terms_without_are_left_out(batch: Batch) -> None:
    assert batch.target is not None
    config = LossConfig(texture_weight=3, gradient_weight=1, texture_gain=1.2)
    terms = loss_terms(batch.vi, batch, config)
    texture = texture_loss(batch.vi, batch.ir, batch.vi, 1.2)
    gradient = gradient_loss(batch.vi, batch.ir, batch.vi, 1.2)
    assert float(terms["texture"]) == pytest.approx(1.5 * float(texture))
    assert float(terms["gradient"]) == pytest.approx(0.5 * float(gradient))
    none = dict.fromkeys(
        ("texture_weight", "gradient_weight", "correlation_weight", "fidelity_weight"), 0.0
    )
    left = loss_terms(batch.vi, batch, LossConfig(**none))  # type: ignore[arg-type]
    assert left.keys() == {"teacher", "teacher_gradient", "contrast", "edges"}


def test_a_black_crop_has_finite_gradients() -> None:
    black = torch.zeros(1, 1, 20, 20)
    fused = black.clone().requires_grad_()
    terms = loss_terms(fused, Batch(black, black, target=black), LossConfig())
    torch.stack(list(terms.values())).sum().backward()
    assert fused.grad is not None
    assert bool(fused.grad.isfinite().all())
