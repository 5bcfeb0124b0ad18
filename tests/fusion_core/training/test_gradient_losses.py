import pytest
import torch
from torch import Tensor

from fusion_core.training.gradient_losses import gradient_loss, sobel, texture_loss


def image(*rows: list[float]) -> Tensor:
    return torch.tensor(rows)[None, None]


def test_sobel_finds_both_directions() -> None:
    step = image([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    across, down = sobel(step)[0]
    assert across[1].tolist() == [0, 4, 4, 0]
    assert not down.any()
    assert torch.equal(sobel(step.mT).flip(1), sobel(step).mT)
    corner = image([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0])
    assert sobel(corner)[0, :, 1, 1].tolist() == [1, 1]


def test_texture_wants_the_stronger_gradient_of_either_source() -> None:
    step = image([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    flat = torch.zeros_like(step)
    assert float(texture_loss(step, flat, step)) == 0
    assert float(texture_loss(step, step, flat)) == 0
    assert float(texture_loss(1 - step, flat, step)) == 0  # absolute: the sign is free
    assert float(texture_loss(1.5 * step, flat, step, gain=1.5)) == pytest.approx(0, abs=1e-6)
    assert float(texture_loss(flat, flat, step)) == pytest.approx(2)  # half the pixels miss 4


def test_gradient_loss_follows_the_steeper_source_with_its_sign() -> None:
    step = image([0.0, 0.0, 1.0, 1.0]).expand(1, 1, 4, 4)
    flat = torch.zeros_like(step)
    assert float(gradient_loss(step, flat, step)) == 0
    assert float(gradient_loss(step, step / 2, step)) == 0
    assert float(gradient_loss(step, flat, step, gain=1.5)) == pytest.approx(1)  # 4 for 6
    assert float(gradient_loss(flat, flat, step)) == pytest.approx(2)  # half the pixels miss 4
    assert float(gradient_loss(1 - step, flat, step)) == pytest.approx(4)  # -4 in place of 4
