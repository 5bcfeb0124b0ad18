"""The one way an image goes through the network, whatever its size and wherever it comes from.

Whole images, batches and tiles all call a :class:`Fuser`: it pads by reflection to a size that the
network accepts, chooses precision, halves a batch that does not fit into memory, and crops.
"""

from typing import Literal

import torch
from torch import Tensor

from fusion_core.errors import SettingsError
from fusion_core.network import RefineFuse
from fusion_core.weights_file import hash_model, load_weights

Precision = Literal["auto", "fp32", "bf16", "fp16"]
ResolvedPrecision = Literal["fp32", "bf16", "fp16"]

MARGIN = 8
"""Reflected pixels on every side, cropped afterwards.

The convolutions pad with zeros, which shows as a frame: with the packaged weights the outermost
pixels of three held-out RoadScene pairs were off by 2 to 5 grey levels on average, those past the
eighth by at most 0.3. The margin costs 6 % more pixels at 640x480.
"""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class Fuser:
    """Fuses batches of aligned pairs of any size on one device.

    Attributes:
        device: where the network runs, such as ``cpu`` or ``cuda:0``.
        precision: of the network's body, ``fp32``, ``bf16`` or ``fp16``; its last convolution and
            all that callers see is fp32.
        model_hash: sha256 of the weights file, or of the weights where there is no file.
    """

    def __init__(
        self,
        model: RefineFuse,
        device: str = "auto",
        precision: Precision = "auto",
        model_hash: str | None = None,
    ) -> None:
        """Move ``model`` to ``device`` and cast its body; the model is the fuser's from then on.

        Args:
            model: the network, in fp32.
            device: a torch device; ``auto`` is ``cuda`` where there is one, else ``cpu``.
            precision: ``auto`` is bf16 where the device computes it natively, else fp32.
            model_hash: hash of the file that the weights came from, if any.

        Raises:
            SettingsError: if the device is unknown or absent, or can't run in that precision.
        """
        self.model_hash = model_hash or hash_model(model)
        self.device = _resolve_device(device)
        self.precision = resolve_precision(precision, self.device)
        self._model = model.to(self.device).body_to(_DTYPES[self.precision]).eval()
        self._multiple = model.config.multiple

    @torch.inference_mode()
    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Fuse aligned pairs; no pair's result depends on the others in its batch.

        Args:
            ir: infrared, (B, 1, H, W), float32, in [0, 1]; any H and W from 1 up.
            vi: visible luminance, same shape and range.

        Returns:
            Fused luminance, (B, 1, H, W), float32, in [0, 1], on the device of ``ir``.

        Raises:
            ValueError: if the shapes are not as above.
        """
        if ir.shape != vi.shape or ir.ndim != 4 or ir.shape[1] != 1 or 0 in ir.shape:
            raise ValueError(
                f"infrared is {tuple(ir.shape)} and visible {tuple(vi.shape)}; expected two equal "
                "shapes (B, 1, H, W) with no empty side; pass grey images or luminance"
            )
        height, width = ir.shape[-2:]
        padded_ir = pad_reflected(ir.to(self.device), self._multiple, MARGIN)
        padded_vi = pad_reflected(vi.to(self.device), self._multiple, MARGIN)
        fused = self._fuse(padded_ir, padded_vi)
        fused = fused[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        return fused.to(ir.device).contiguous()

    def _fuse(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Run the network, in halves if the batch does not fit into memory."""
        try:
            fused: Tensor = self._model(ir, vi)
            return fused
        except torch.OutOfMemoryError:
            if len(ir) == 1:
                raise
        # Outside the handler: the exception's traceback keeps the failed attempt's tensors alive.
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        half = len(ir) // 2
        return torch.cat((self._fuse(ir[:half], vi[:half]), self._fuse(ir[half:], vi[half:])))


def load_fuser(
    weights: str = "default", device: str = "auto", precision: Precision = "auto"
) -> Fuser:
    """Build a :class:`Fuser` from a weights file.

    Args:
        weights: path or fsspec URL of a safetensors file, or ``default`` for the packaged one.
        device: as for :class:`Fuser`.
        precision: as for :class:`Fuser`.

    Raises:
        WeightsError: if the file can't be used.
        StorageError: if it can't be reached.
        SettingsError: if device or precision can't be used.
    """
    model, info = load_weights(weights)
    return Fuser(model, device, precision, model_hash=info.sha256)


def pad_reflected(image: Tensor, multiple: int, margin: int) -> Tensor:
    """Pad (..., H, W) by reflection: ``margin`` on all sides, then below and right to multiples.

    The edge pixel is not repeated. Where the pad exceeds the image the reflection is itself
    reflected, on and on; a side of 1 is repeated.
    """
    for dim in (-2, -1):
        size = image.shape[dim]
        stop = -(-(size + 2 * margin) // multiple) * multiple - margin
        folded = reflected_indices(size, -margin, stop)
        image = image.index_select(dim, folded.to(image.device))
    return image


def reflected_indices(size: int, start: int, stop: int) -> Tensor:
    """Positions ``start`` .. ``stop - 1`` folded into a side of ``size`` pixels, int64."""
    if size == 1:
        return torch.zeros(stop - start, dtype=torch.int64)
    period = 2 * (size - 1)
    positions = torch.arange(start, stop) % period
    return torch.minimum(positions, period - positions)


def resolve_precision(precision: Precision, device: str) -> ResolvedPrecision:
    """Turn ``auto`` into the precision to use on ``device`` and refuse what it can't do well.

    Raises:
        SettingsError: for fp16 on a CPU, and for an unknown precision.
    """
    if precision == "auto":
        return "bf16" if _computes_bf16(device) else "fp32"
    if precision not in _DTYPES:
        raise SettingsError(
            f"precision is {precision!r}; expected auto, fp32, bf16 or fp16. Use auto."
        )
    if precision == "fp16" and device.startswith("cpu"):
        raise SettingsError(
            "precision is fp16 on a CPU, where it is several times slower than fp32. "
            "Use auto, bf16 or fp32."
        )
    return precision


def _computes_bf16(device: str) -> bool:
    """Whether the device has instructions for bf16, as opposed to emulating it."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.startswith("cpu"):
        # torch's own test for bf16 through oneDNN is content with AVX512 alone, which emulates.
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return False


def _resolve_device(device: str) -> str:
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
