"""The optimisers of a training, and its learning rate from step to step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fusion_core.training.recipe import Recipe

_MOMENTUM = 0.9


def make_optimiser(recipe: Recipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Build the recipe's optimiser; its learning rate is set before every step."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(parameters, lr=rate, weight_decay=decay, fused=True)
    return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=_MOMENTUM)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Return the learning rate of step ``step``, counted from 0, of ``steps``.

    It rises linearly over ``warmup`` steps, times (1 + cos(pi step / steps)) / 2 for a cosine.
    """
    rising = min(1.0, (step + 1) / max(1, recipe.warmup))
    falling = (1 + math.cos(math.pi * step / steps)) / 2 if recipe.schedule == "cosine" else 1.0
    return recipe.learning_rate * rising * falling


def flat_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return what an optimiser remembers, as tensors named ``PARAMETER.KEY``."""
    return {
        f"{index}.{key}": value
        for index, values in optimiser.state_dict()["state"].items()
        for key, value in values.items()
        if isinstance(value, Tensor)
    }


def restore_state(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser the memory that ``flat_state`` returned."""
    state = optimiser.state_dict()
    state["state"] = {}
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        # The fused optimiser walks memory, so moments must lie as their weights do.
        layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
        laid_out = tensor.contiguous(memory_format=layout)
        state["state"].setdefault(int(index), {})[key] = laid_out
    optimiser.load_state_dict(state)
