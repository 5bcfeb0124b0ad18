"""The state of a training, and one step of it; it knows nothing of files, processes or logs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from fusion_core.models.device import resolve_precision
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.pooling import Pooling
from fusion_core.models.weights_file import build_network
from fusion_core.training.batch import Batch
from fusion_core.training.losses import loss_terms
from fusion_core.training.optimisers import flat_state, learning_rate, make_optimiser, restore_state
from fusion_core.training.recipe import Recipe


class MixedPrecision(nn.Module):
    """Runs a network's body in bf16 while its weights stay fp32, as the optimiser needs them."""

    def __init__(self, model: FusionNetwork, *, bf16: bool) -> None:
        """Wrap ``model``, whose weights are shared and not copied."""
        super().__init__()
        self.model = model
        self.bf16 = bf16

    def forward(self, ir: Tensor, vi: Tensor, pooling: Pooling | None = None) -> Tensor:
        """Fuse as the network does; same shapes and ranges."""
        if not self.bf16:
            fused: Tensor = self.model(ir, vi, pooling)
            return fused
        # One cast per weight and step; autocast would also widen and narrow the features.
        weights = {
            name: weight if name.startswith("head.") else weight.bfloat16()
            for name, weight in self.model.named_parameters()
        }
        fused = functional_call(self.model, weights, (ir, vi, pooling))
        return fused


class Trainer:
    """Holds network, moving average and optimiser of a training, and takes its steps.

    Attributes:
        step: Steps taken so far.
        steps: Steps of the whole training.
        model: The network as the optimiser left it.
    """

    def __init__(
        self,
        recipe: Recipe,
        steps: int,
        *,
        device: str = "cpu",
        wrap: Callable[[nn.Module], nn.Module] = lambda module: module,
        start: FusionNetwork | None = None,
    ) -> None:
        """Begin a training.

        Args:
            recipe: How to train.
            steps: Steps of the whole training.
            device: Torch device to train on.
            wrap: Makes the module that is called out of the one that fuses; several processes
                pass DistributedDataParallel, which averages the gradients between them.
            start: Network to start from; without one the weights are drawn by the recipe's seed.

        Raises:
            SettingsError: The device can't run in the recipe's precision.
        """
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.step = 0
        self.steps = steps
        self.device = device
        model = start or build_network(recipe.trained_network())
        self.model = model.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.model.requires_grad_(True)
        bf16 = resolve_precision(recipe.precision, device, model.precisions) == "bf16"
        self._fuse = wrap(MixedPrecision(self.model, bf16=bf16))
        self._average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self._optimiser = make_optimiser(recipe, self.model.parameters())

    @property
    def learning_rate(self) -> float:
        """The learning rate of the coming step."""
        return learning_rate(self.recipe, self.step, self.steps)

    def advance(self, batch: Batch) -> dict[str, Tensor]:
        """Take one step and return the terms of its loss, scalars on the trainer's device."""
        batch = batch.to(self.device)
        fused = self._fuse(batch.ir, batch.vi, batch.pooling)
        terms = loss_terms(fused, batch, self.recipe.loss)
        self._optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        for group in self._optimiser.param_groups:
            group["lr"] = self.learning_rate
        self._optimiser.step()
        self.step += 1
        # Early weights are far off; a short memory at the start forgets them.
        keep = min(self.recipe.average, self.step / (self.step + 9))
        torch._foreach_lerp_(
            list(self._average.values()), list(self.model.state_dict().values()), 1 - keep
        )
        return {name: term.detach() for name, term in terms.items()}

    def averaged(self) -> FusionNetwork:
        """Return a copy of the network with the averaged weights, for use and for validation."""
        model = build_network(self.recipe.trained_network())
        model.load_state_dict(self._average)
        return model.eval()

    def state(self) -> dict[str, Tensor]:
        """Return everything that a resumed training needs, flat, on the CPU."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self._average.items()}
        tensors |= {f"optimiser.{k}": v for k, v in flat_state(self._optimiser).items()}
        return {name: tensor.to("cpu").contiguous() for name, tensor in tensors.items()}

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Continue from what ``state`` returned after ``step`` steps.

        Raises:
            KeyError: A tensor is missing.
            RuntimeError: A tensor doesn't fit the network.
            ValueError: A tensor doesn't fit the optimiser.
        """
        names = list(self._average)
        self.model.load_state_dict({k: tensors[f"model.{k}"] for k in names})
        for name in names:
            self._average[name].copy_(tensors[f"average.{name}"])
        start = "optimiser."
        moments = {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
        restore_state(self._optimiser, moments)
        self.step = step
