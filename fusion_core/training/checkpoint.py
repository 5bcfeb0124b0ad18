"""Reads and writes the checkpoint of a training: a safetensors object that is replaced at once.

Its tensors are the trainer's state; the header says which training it is of and holds the
records so far. Nothing is unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from fusion_core.errors import WeightsError
from fusion_core.storage.store import Storage
from fusion_core.training.record import LeftOut, TrainingRecord
from fusion_core.training.trainer import Trainer

FORMAT = "1"
"""Version of the header; raised when a reader of the old one would misread the new one."""

_KEYS = {"checkpoint", "step", "training", "log"}
_LENGTH_BYTES = 8  # safetensors begins with the header's length, unsigned, little-endian


@dataclass(frozen=True)
class Checkpoint:
    """A training at one of its steps.

    Attributes:
        step: Steps taken.
        training: What decides the weights, as JSON values; another value is another training.
        records: Records up to this step.
        tensors: State of the trainer.
        left_out: Corrupt pairs found up to this step.
    """

    step: int
    training: Mapping[str, Any]
    records: tuple[TrainingRecord, ...]
    tensors: dict[str, Tensor]
    left_out: tuple[LeftOut, ...] = ()


def write_checkpoint(output: Storage, path: str, checkpoint: Checkpoint) -> None:
    """Write a checkpoint in place of the last one: a reader sees the old one or the new one.

    Raises:
        StorageError: The store failed; the old checkpoint is still there.
    """
    log = {
        "records": [record.model_dump() for record in checkpoint.records],
        "left_out": [pair.model_dump() for pair in checkpoint.left_out],
    }
    values = {
        "checkpoint": FORMAT,
        "step": checkpoint.step,
        "training": checkpoint.training,
        "log": log,
    }
    metadata = {key: json.dumps(value) for key, value in values.items()}
    output.write(path, safetensors.torch.save(checkpoint.tensors, metadata))


def read_checkpoint(output: Storage, path: str) -> Checkpoint | None:
    """Read a checkpoint; return None where there is none.

    Raises:
        WeightsError: The object is no checkpoint, or a damaged one.
        StorageError: The store failed.
    """
    try:
        body = output.read(path)
    except FileNotFoundError:
        return None
    url = output.url(path)
    advice = "Delete it to start anew, or give another output folder"
    try:
        tensors = safetensors.torch.load(body)
        length = int.from_bytes(body[:_LENGTH_BYTES], "little")
        header = json.loads(body[_LENGTH_BYTES : _LENGTH_BYTES + length])
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{url} is damaged or no checkpoint: {error}; expected a whole safetensors file. "
            f"{advice}"
        ) from error
    metadata = header.get("__metadata__", {})
    if not metadata.keys() >= _KEYS or metadata["checkpoint"] != json.dumps(FORMAT):
        raise WeightsError(
            f"{url} is a safetensors file and no checkpoint that this version reads: its header "
            f"has {sorted(metadata)}; expected {sorted(_KEYS)} of format {FORMAT}. {advice}"
        )
    try:
        values = {key: json.loads(metadata[key]) for key in _KEYS}
        records = tuple(map(TrainingRecord.model_validate, values["log"]["records"]))
        # Versions before left no pair out.
        left_out = tuple(map(LeftOut.model_validate, values["log"].get("left_out", ())))
    except (ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"the header of checkpoint {url} holds no records of a training: {error}. {advice}"
        ) from error
    return Checkpoint(values["step"], values["training"], records, tensors, left_out)


def resume(trainer: Trainer, checkpoint: Checkpoint, url: str) -> None:
    """Put the trainer where it was when the checkpoint was written.

    Raises:
        WeightsError: The tensors are not those of such a training.
    """
    try:
        trainer.restore(checkpoint.tensors, checkpoint.step)
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise WeightsError(
            f"the tensors of checkpoint {url} don't fit its settings: {error}. Delete it to start "
            "anew"
        ) from error


def check_same(url: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Refuse to go on with what another training wrote.

    Args:
        url: Where it lies.
        ours: What decides the weights of the training that is asked for.
        theirs: The same of the one that wrote it.

    Raises:
        WeightsError: They differ; the message names in what.
    """
    different = _differences(ours, theirs)
    if different:
        raise WeightsError(
            f"{url} was written with other values of {', '.join(different)}. Train with the same "
            "settings and pairs to go on, or give another output folder"
        )


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Return the names of the values that differ, with a dot where they are nested."""
    names: list[str] = []
    for name in sorted({*ours, *theirs}):
        a, b = ours.get(name), theirs.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            names += [f"{name}.{inner}" for inner in _differences(a, b)]
        elif a != b:
            names.append(name)
    return names
