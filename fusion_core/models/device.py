"""The device and precision that fusers compute with: what was asked for, against what there is."""

from collections.abc import Collection
from typing import Literal

import torch

from fusion_core.errors import SettingsError
from fusion_core.settings.fuse import Precision

ResolvedPrecision = Literal["fp32", "bf16", "fp16"]

DTYPES: dict[ResolvedPrecision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}


def resolve_device(device: str) -> str:
    """Turn ``auto`` into ``cuda`` where there is one, else ``cpu``, and check that it can be used.

    Raises:
        SettingsError: The device is unknown or absent.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SettingsError(
            f"device is {device!r}, which can't be used here: {str(error).splitlines()[0]}. "
            "Use auto, cpu, or a device that torch sees."
        ) from error
    return device


def resolve_precision(
    precision: Precision, device: str, known: Collection[ResolvedPrecision] = tuple(DTYPES)
) -> ResolvedPrecision:
    """Turn ``auto`` into the precision to use on ``device`` and refuse what it can't do well.

    Args:
        precision: What is asked for.
        device: Where it is to be used.
        known: What the network is made for. Default: all.

    Raises:
        SettingsError: The precision is unknown, fp16 on a CPU, or none of the network's.
    """
    if precision == "auto":
        return "bf16" if "bf16" in known and _computes_bf16(device) else "fp32"
    if precision not in DTYPES:
        raise SettingsError(
            f"precision is {precision!r}; expected auto, fp32, bf16 or fp16. Use auto."
        )
    if precision not in known:
        raise SettingsError(
            f"precision is {precision}, and this network computes in {' or '.join(known)}. "
            "Use auto."
        )
    if precision == "fp16" and device.startswith("cpu"):
        raise SettingsError(
            "precision is fp16 on a CPU, where it is several times slower than fp32. "
            "Use auto, bf16 or fp32."
        )
    return precision


def _computes_bf16(device: str) -> bool:
    """Tell whether the device has instructions for bf16, as opposed to emulating it."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.startswith("cpu"):
        # torch's own test for bf16 through oneDNN is content with AVX512 alone, which emulates.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False
