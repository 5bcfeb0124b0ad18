"""Trains RefineFuse in one process: ``python -m fusion_core.training --help``.

AdamW with a linear warm-up and a cosine to zero; the weights that are kept are an exponential
moving average. On a CPU the body computes in bf16, which takes a third of the time of fp32.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.func import functional_call

from fusion_core.errors import WeightsError
from fusion_core.losses import LossConfig, fusion_loss
from fusion_core.network import NetworkConfig, RefineFuse
from fusion_core.training_data import Batch, CropSource, list_pairs, split_names
from fusion_core.weights_file import save_weights


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train; all lengths in steps, sizes in pixels."""

    steps: int = 1500
    batch: int = 4
    crop: int = 96
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup: int = 50
    average: float = 0.99
    clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 100
    bf16: bool = True
    network: NetworkConfig = field(default_factory=lambda: NetworkConfig())
    loss: LossConfig = field(default_factory=lambda: LossConfig())

    def summary(self) -> dict[str, Any]:
        """The settings as JSON values."""
        models = {"network": self.network, "loss": self.loss}
        return vars(self) | {name: m.model_dump(mode="json") for name, m in models.items()}


class Trainer:
    """The state of one training: network, average, optimiser, step. Knows nothing of files."""

    def __init__(self, config: TrainingConfig) -> None:
        """Build an untrained network from the configuration's seed."""
        torch.manual_seed(config.seed)
        self.config = config
        self.step = 0
        self.model = RefineFuse(config.network).train()
        self.average = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.optimiser = torch.optim.AdamW(
            self.model.parameters(), weight_decay=config.weight_decay, fused=True
        )

    def _rate(self) -> float:
        rising = min(1.0, (self.step + 1) / max(1, self.config.warmup))
        falling = (1 + math.cos(math.pi * self.step / self.config.steps)) / 2
        return self.config.learning_rate * rising * falling

    def loss(self, batch: Batch) -> Tensor:
        """The loss of the current weights, a scalar."""
        if self.config.bf16:
            # One cast per weight and step; autocast would also widen and narrow the features.
            weights = {
                name: weight if name.startswith("head.") else weight.bfloat16()
                for name, weight in self.model.named_parameters()
            }
            fused = functional_call(self.model, weights, (batch.ir, batch.vi))
        else:
            fused = self.model(batch.ir, batch.vi)
        return fusion_loss(fused, batch.ir, batch.vi, batch.masks, self.config.loss)

    def advance(self, batch: Batch) -> float:
        """Take one step and return its loss."""
        loss = self.loss(batch)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        self.optimiser.step()
        self.step += 1
        # Early weights are far off; a short memory at the start forgets them.
        keep = min(self.config.average, self.step / (self.step + 9))
        torch._foreach_lerp_(
            list(self.average.values()), list(self.model.state_dict().values()), 1 - keep
        )
        return float(loss.detach())

    def averaged(self) -> RefineFuse:
        """A copy of the network with the averaged weights, for use and for validation."""
        model = RefineFuse(self.config.network)
        model.load_state_dict(self.average)
        return model.eval()

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed training needs, flat."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": v for k, v in moments.items()}
        return {name: tensor.contiguous() for name, tensor in tensors.items()}

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Continue from what :meth:`state` gave after ``step`` steps."""
        self.model.load_state_dict({k: tensors[f"model.{k}"] for k in self.average})
        self.average = {k: tensors[f"average.{k}"] for k in self.average}
        optimiser = self.optimiser.state_dict()
        for name in (name for name in tensors if name.startswith("optimiser.")):
            _, index, key = name.split(".")
            tensor = tensors[name]
            # The fused optimiser walks memory, so moments must lie as their weights do.
            layout = torch.channels_last if tensor.ndim == 4 else torch.contiguous_format
            laid_out = tensor.contiguous(memory_format=layout)
            optimiser["state"].setdefault(int(index), {})[key] = laid_out
        self.optimiser.load_state_dict(optimiser)
        self.step = step


def save_checkpoint(file: Path, trainer: Trainer, log: list[dict[str, Any]]) -> None:
    """Replace ``file`` by the trainer's state at once: a reader sees the old or the new one."""
    values = {"step": trainer.step, "config": trainer.config.summary(), "log": log}
    partial = file.with_name(file.name + ".partial")
    save_file(trainer.state(), partial, {key: json.dumps(value) for key, value in values.items()})
    os.replace(partial, file)


def load_checkpoint(file: Path, trainer: Trainer) -> list[dict[str, Any]]:
    """Put ``trainer`` where it was when ``file`` was written, and return the log up to there.

    Raises:
        WeightsError: if the file was written with other settings.
    """
    with safe_open(file, "pt") as stored:
        metadata = stored.metadata()
        tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    ours, theirs = trainer.config.summary(), json.loads(metadata["config"])
    different = sorted(name for name in ours if ours[name] != theirs.get(name))
    if different:
        raise WeightsError(
            f"Checkpoint {file} was written with other values of {', '.join(different)}. "
            "Resume with the same settings, or delete it to start anew."
        )
    trainer.restore(tensors, int(metadata["step"]))
    log: list[dict[str, Any]] = json.loads(metadata["log"])
    return log


def train(
    ir: Path,
    vi: Path,
    output: Path,
    validation: int,
    config: TrainingConfig,
    report: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train on two folders of files of the same names, and write weights and a JSON log.

    A checkpoint ``<output>.checkpoint`` is resumed from if it exists, and deleted at the end; the
    averaged weights so far are in ``output`` at each checkpoint. The log is ``<output>.json``.

    Args:
        ir: folder of infrared images.
        vi: folder of visible images.
        output: safetensors file to write.
        validation: number of pairs kept apart.
        config: how to train.
        report: takes a line of progress at each checkpoint.

    Returns:
        The log: a record of step, losses and seconds per step for each checkpoint.
    """
    names, apart = split_names(list_pairs(ir, vi), validation)
    source = CropSource(ir, vi, names, config.crop, config.loss)
    held_out = CropSource(ir, vi, apart, config.crop, config.loss).centre_batch() if apart else None
    facts = {"pairs": len(names), "validation_names": apart}
    trainer, log = Trainer(config), []
    checkpoint = output.with_name(output.name + ".checkpoint")
    if checkpoint.exists():
        log = load_checkpoint(checkpoint, trainer)
    losses, since = [], time.perf_counter()
    while trainer.step < config.steps:
        losses.append(trainer.advance(source.random_batch(config.batch, config.seed, trainer.step)))
        if trainer.step % config.checkpoint_every and trainer.step < config.steps:
            continue
        record = {
            "step": trainer.step,
            "loss": sum(losses) / len(losses),
            "seconds_per_step": round((time.perf_counter() - since) / len(losses), 3),
            "validation_loss": validate(trainer, held_out) if held_out else None,
        }
        log.append(record)
        report(" ".join(f"{key}={value:.6g}" for key, value in record.items() if value is not None))
        save_checkpoint(checkpoint, trainer, log)
        training = config.summary() | facts | {"result": record}
        save_weights(str(output), trainer.averaged(), training)
        output.with_name(output.name + ".json").write_text(
            json.dumps({"training": training, "log": log}, indent=2)
        )
        losses, since = [], time.perf_counter()
    checkpoint.unlink(missing_ok=True)
    return log


@torch.inference_mode()
def validate(trainer: Trainer, held_out: Batch) -> float:
    """Loss of the averaged weights on held-out crops."""
    fused = trainer.averaged()(held_out.ir, held_out.vi)
    ir, vi, masks = held_out.ir, held_out.vi, held_out.masks
    return float(fusion_loss(fused, ir, vi, masks, trainer.config.loss))


def main(arguments: list[str] | None = None) -> None:
    """Read the command line and train."""
    default = TrainingConfig()
    parser = argparse.ArgumentParser(prog="python -m fusion_core.training", description=__doc__)
    parser.add_argument("--ir", type=Path, required=True, help="folder of infrared images")
    parser.add_argument("--vi", type=Path, required=True, help="folder of visible images")
    parser.add_argument("--output", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--validation", type=int, default=21, help="pairs to keep apart")
    for name in ("steps", "batch", "crop", "seed", "learning_rate", "checkpoint_every"):
        value = getattr(default, name)
        flag = "--" + name.replace("_", "-")
        parser.add_argument(flag, type=type(value), default=value, help=f"default {value}")
    parser.add_argument("--threads", type=int, default=0, help="0 lets torch choose")
    parser.add_argument(
        "--loss", type=LossConfig.model_validate_json, default=LossConfig(), help="as JSON"
    )
    options = vars(parser.parse_args(arguments))
    if threads := options.pop("threads"):
        torch.set_num_threads(threads)
    folders = {name: options.pop(name) for name in ("ir", "vi", "output", "validation")}
    train(**folders, config=TrainingConfig(**options), report=lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
