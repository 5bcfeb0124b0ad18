"""Keeps what one segment of a clip leaves to the next, as arrays in a file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.models.pooling import PreviewPooling, ScenePooling
from fusion_core.video.steady import SteadyState

Arrays = dict[str, NDArray[Any]]
_SIDES = ("ir", "vi")
_WEIGHTS = "weights"


def to_arrays(state: SteadyState) -> tuple[Arrays, str]:
    """Return a state as arrays of float32, and the rest of it as JSON.

    The frame before isn't kept: three planes for every segment would be many bytes, and the first
    frame of a segment shows what it would without being held.
    """
    arrays: Arrays = {}
    facts: dict[str, Any] = {"age": state.age, "change": list(state.change)}
    for side, plane in zip(_SIDES, state.thumbnails or (), strict=False):
        arrays[f"thumbnail_{side}"] = plane
    for name, pooling in (("target", state.target), ("carried", state.carried)):
        if pooling is None:
            continue
        preview = pooling.preview
        tensors = {str(level): grid for level, grid in preview.grids.items()}
        if preview.channel_weights is not None:
            tensors[_WEIGHTS] = preview.channel_weights
        facts[name] = {
            "preview_size": pooling.preview_size,
            "scene_size": pooling.scene_size,
            "multiple": pooling.multiple,
            "margin": pooling.margin,
            "types": {
                key: str(tensor.dtype).removeprefix("torch.") for key, tensor in tensors.items()
            },
        }
        for key, tensor in tensors.items():
            arrays[f"{name}_{key}"] = np.ascontiguousarray(tensor.float().cpu().numpy())
    return arrays, json.dumps(facts)


def from_arrays(arrays: Arrays, text: str, device: str = "cpu") -> SteadyState:
    """Return the state that ``to_arrays`` kept.

    Args:
        arrays: The arrays.
        text: The JSON.
        device: Where its tensors are wanted, as torch names it.
    """
    facts = json.loads(text)
    state = SteadyState(age=facts["age"], change=(facts["change"][0], facts["change"][1]))
    if "thumbnail_ir" in arrays:
        state.thumbnails = (arrays["thumbnail_ir"], arrays["thumbnail_vi"])
    state.target = _pooling(arrays, facts, "target", device)
    state.carried = _pooling(arrays, facts, "carried", device)
    return state


def _pooling(arrays: Arrays, facts: dict[str, Any], name: str, device: str) -> ScenePooling | None:
    if name not in facts:
        return None
    told = facts[name]
    tensors = {
        key: torch.from_numpy(arrays[f"{name}_{key}"]).to(device, getattr(torch, kind))
        for key, kind in told["types"].items()
    }
    weights = tensors.pop(_WEIGHTS, None)
    return ScenePooling(
        PreviewPooling({int(level): grid for level, grid in tensors.items()}, weights),
        preview_size=tuple(told["preview_size"]),
        scene_size=tuple(told["scene_size"]),
        multiple=told["multiple"],
        margin=told["margin"],
    )
