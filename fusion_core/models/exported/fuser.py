"""Fuses by a program of torch.export, so that any published network can run as ours does."""

import torch
from torch import Tensor

from fusion_core.errors import SettingsError, WeightsError
from fusion_core.models.device import ResolvedPrecision, resolve_device
from fusion_core.models.exported.program import Program
from fusion_core.models.padding import check_pair, take_reflected
from fusion_core.settings.fuse import Precision


class ExportedFuser:
    """A ``Fuser`` that runs an exported program, on one pair at a time.

    One at a time, because the program may be exported for a batch of 1, and may mix the images of
    a batch. An image is padded by reflection, below and right, to a size that the program takes.

    Attributes:
        name: The file's name, without folder and suffix.
        device: Where it computes, such as ``cpu`` or ``cuda:0``.
        precision: The precision of the program's weights, chosen by who exported it.
        model_hash: The sha256 of the file.
        receptive_radius: 64 pixels, what the deeper of the published networks see; a program
            doesn't tell its own.
        bytes_per_pixel: 3000, half as much again as RefineFuse in fp32: a program doesn't tell this
            either. One that takes more may meet the end of memory, and is then fused in tiles; one
            that takes less is fused in tiles sooner than it needs to be.
    """

    receptive_radius = 64
    bytes_per_pixel = 3000

    def __init__(
        self, program: Program, device: str, precision: Precision, *, name: str, model_hash: str
    ) -> None:
        """Move the program's tensors to ``device``.

        Raises:
            SettingsError: The device can't be used, or another precision than the program's is
                asked for.
        """
        if precision not in ("auto", program.precision):
            raise SettingsError(
                f"precision is {precision!r}, and the program {name} was exported in "
                f"{program.precision}. Use auto, or export it in that precision."
            )
        self.name, self.model_hash = name, model_hash
        self.device = resolve_device(device)
        self.precision: ResolvedPrecision = program.precision
        # With its index, as the device of a tensor has it: programs compare the two.
        self._device = torch.empty(0, device=self.device).device
        self._program = program
        self._tensors = {key: value.to(self._device) for key, value in program.tensors.items()}

    @torch.inference_mode()
    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        """Fuse aligned pairs; see ``Fuser``.

        Raises:
            ValueError: The shapes are not (B, 1, H, W).
            WeightsError: The program can't take the size, fails, or gives no image.
        """
        check_pair(ir, vi)
        fused = [self._fuse(ir[k : k + 1], vi[k : k + 1]) for k in range(len(ir))]
        return torch.cat(fused).to(ir.device)

    def _fuse(self, ir: Tensor, vi: Tensor) -> Tensor:
        height, width = ir.shape[-2:]
        rows, columns = self._program.sizes.fit(height, width)
        values: dict[str, object] = dict(self._tensors)
        for name, image in zip(self._program.inputs, (ir, vi), strict=True):
            padded = take_reflected(take_reflected(image, -2, 0, rows), -1, 0, columns)
            values[name] = padded.to(self._device, self._program.dtype)
        for step in self._program.steps:
            try:
                step.run(values, self._device)
            except torch.OutOfMemoryError:
                raise
            except Exception as error:  # an operator may refuse its arguments in any way
                raise WeightsError(
                    f"The program {self.name} failed at {step.target} on {columns}x{rows}: "
                    f"{type(error).__name__}: {str(error).rstrip('.')}. Export it for such sizes."
                ) from error
        fused = values[self._program.output]
        if not isinstance(fused, Tensor) or fused.shape != (1, 1, rows, columns):
            found = tuple(fused.shape) if isinstance(fused, Tensor) else type(fused).__name__
            raise WeightsError(
                f"The program {self.name} gave {found} for {columns}x{rows}; expected the shape "
                f"{(1, 1, rows, columns)}. Export a network that returns the fused luminance."
            )
        if not fused.is_floating_point() or not bool(fused.isfinite().all()):
            raise WeightsError(
                f"The program {self.name} gave infinities, NaN or whole numbers ({fused.dtype}); "
                "expected finite floating-point numbers in [0, 1]. Check what was exported."
            )
        return fused[..., :height, :width].float().clamp(0, 1)
