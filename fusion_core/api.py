"""Fusing a pair of arrays in one call."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from fusion_core.errors import DecodeError, OverlapError, SettingsError, SizeMismatchError
from fusion_core.images.pair import PicturePair
from fusion_core.images.picture import Picture
from fusion_core.metrics.scaling import PERCENTILES, Range, ScalingName
from fusion_core.models.fuser import Fuser, load_fuser
from fusion_core.settings.fuse import EngineChoice, Precision
from fusion_core.settings.scaling import ScalingSettings


def fuse(
    ir: NDArray[Any],
    vi: NDArray[Any],
    *,
    model: str = "refinefuse",
    device: str = "auto",
    precision: Precision = "auto",
    engine: EngineChoice = "auto",
    scaling: ScalingName = "auto",
    percentiles: Range = PERCENTILES,
    ir_range: Range | None = None,
    vi_range: Range | None = None,
) -> NDArray[Any]:
    """Fuse an aligned pair of images.

    The model is loaded at the first call and kept. Values mean what they mean in a run: those of 8
    bits what they are, a thermal camera's counts in 16 by their percentiles, unless a range is set.

    Args:
        ir: Infrared image: (H, W) grey, (H, W, 3) RGB or (H, W, 4) RGB with alpha, uint8 or uint16,
            any size from 1x1 up. Where an alpha is 0 nothing is fused.
        vi: Visible image: likewise; same height and width.
        model: What fuses: the name of packaged weights, such as "refinefuse" or "refinefuse-open",
            "mean", "maximum", "laplacian", "guided", or path or URL of a file; see ``read_model``.
        device: A torch device; "auto" takes a GPU where there is one.
        precision: Arithmetic of RefineFuse's body; "auto" is bf16 where the device has it.
        engine: What computes; "auto" is OpenVINO on a CPU where it is installed, else "eager".
        scaling: "percentiles", "type" (its range), "range" (both below), or "auto": the range of
            a side that has one, else percentiles, but the type's range for images that use it.
        percentiles: Percentiles that become black and white, of 0 to 100.
        ir_range: Infrared values that become black and white.
        vi_range: Visible values that become black and white.

    Returns:
        The fused image, of the shape and type of ``vi``: its colours (Cb, Cr) and its alpha, with
        the fused luminance, in its units. Where one of the two shows nothing, ``vi`` as it is.

    Example:
        >>> import numpy as np
        >>> warm = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (32, 1))
        >>> coloured = np.full((32, 48, 3), (40, 80, 120), np.uint8)
        >>> fused = fuse(warm, coloured)
        >>> fused.shape, fused.dtype
        ((32, 48, 3), dtype('uint8'))
        >>> fuse(warm, coloured[..., 0], model="maximum")[0, :3].tolist()
        [40, 40, 40]

    Raises:
        DecodeError: An array is no image of the kinds above.
        SizeMismatchError: The images differ in height or width.
        OverlapError: There is no pixel at which both show something.
        WeightsError, StorageError: The model can't be used, or its file can't be reached.
        SettingsError: Device, precision or engine can't be used, or scaling, percentiles and ranges
            don't go together.
    """
    chosen = {"scaling": scaling, "percentiles": percentiles}
    pair = _paired(ir, vi, _settings(**chosen, ir_range=ir_range, vi_range=vi_range))
    sides = (torch.from_numpy(side)[None, None] for side in pair.luminances())
    fused = pair.fused(_fuser(model, device, precision, engine)(*sides)[0, 0].numpy())
    return fused.pixels if fused.alpha is None else np.dstack([fused.pixels, fused.alpha])


def _paired(ir: NDArray[Any], vi: NDArray[Any], settings: ScalingSettings) -> PicturePair:
    """Check two arrays and make a pair of them."""
    _check("infrared", ir)
    _check("visible", vi)
    if ir.shape[:2] != vi.shape[:2]:
        raise SizeMismatchError(
            f"infrared is {ir.shape[1]}x{ir.shape[0]} and visible {vi.shape[1]}x{vi.shape[0]}; "
            "expected equal sizes. Resample one to the other's grid"
        )
    pair = PicturePair.of(_picture(ir), _picture(vi), settings)
    if pair.valid is not None and not pair.valid.any():
        raise OverlapError(
            "infrared and visible show something at no common pixel; expected some. Check their "
            "alpha, which is 0 where there is nothing"
        )
    return pair


def _settings(**values: Any) -> ScalingSettings:
    try:
        return ScalingSettings(**values)
    except ValidationError as error:
        told = "; ".join(
            ": ".join([*(str(part) for part in one["loc"]), one["msg"]]) for one in error.errors()
        )
        raise SettingsError(told.replace("Value error, ", "")) from error


def _picture(image: NDArray[Any]) -> Picture:
    with_alpha = image.ndim == 3 and image.shape[2] == 4
    return Picture(image[..., :3], image[..., 3]) if with_alpha else Picture(image)


@lru_cache(maxsize=2)
def _fuser(model: str, device: str, precision: Precision, engine: EngineChoice) -> Fuser:
    return load_fuser(model, device, precision, engine=engine)


def _check(name: str, image: NDArray[Any]) -> None:
    shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (3, 4))
    if not shaped or image.size == 0 or image.dtype not in (np.uint8, np.uint16):
        raise DecodeError(
            f"the {name} image is an array of shape {image.shape} and type {image.dtype}; "
            "expected (H, W), (H, W, 3) or (H, W, 4), uint8 or uint16"
        )
