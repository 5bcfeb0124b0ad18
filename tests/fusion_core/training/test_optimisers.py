import math

import pytest
import torch
from torch import nn

from fusion_core.training.optimisers import flat_state, learning_rate, make_optimiser, restore_state
from fusion_core.training.recipe import Recipe


def test_the_rate_rises_and_falls_by_a_cosine() -> None:
    recipe = Recipe(learning_rate=0.1, warmup=4)
    rates = [learning_rate(recipe, step, 100) for step in (0, 3, 50, 99)]
    assert rates[0] == pytest.approx(0.1 / 4)
    assert rates[1] == pytest.approx(0.1 * (1 + math.cos(math.pi * 0.03)) / 2)
    assert rates[2] == pytest.approx(0.05)
    assert rates[3] == pytest.approx(0.1 * (1 + math.cos(math.pi * 0.99)) / 2)


def test_a_constant_rate_stays_after_the_warm_up() -> None:
    recipe = Recipe(learning_rate=0.1, warmup=2, schedule="constant")
    rates = [learning_rate(recipe, step, 10) for step in range(4)]
    assert rates == pytest.approx([0.05, 0.1, 0.1, 0.1])


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_an_optimiser_that_is_restored_goes_on_alike(name: str) -> None:
    recipe = Recipe.model_validate({"optimiser": name, "learning_rate": 0.1})

    def layer() -> nn.Module:
        torch.manual_seed(1)
        return nn.Conv2d(3, 5, 3).to(memory_format=torch.channels_last)

    def advance(model: nn.Module, optimiser: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            optimiser.zero_grad()
            model(torch.full((1, 3, 4, 4), 1.0 + step)).square().sum().backward()
            optimiser.step()

    straight, stopped = layer(), layer()
    advance(straight, make_optimiser(recipe, straight.parameters()), range(6))
    before = make_optimiser(recipe, stopped.parameters())
    advance(stopped, before, range(3))
    after = make_optimiser(recipe, stopped.parameters())
    stored = {name: tensor.contiguous() for name, tensor in flat_state(before).items()}
    restore_state(after, stored)
    advance(stopped, after, range(3, 6))
    for one, other in zip(straight.parameters(), stopped.parameters(), strict=True):
        assert torch.equal(one, other)
