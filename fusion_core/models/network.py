"""RefineFuse: the network that fuses one aligned infrared and visible pair.

Two plain encoders, one interaction per level, and a decoder with skips, after "RefineFuse" (Visual
Intelligence, 2025). The default configuration lands on the paper's Table 11: parameters,
multiply-adds at 256x256 and at 512x512 are asserted in the tests.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Self

import torch
from torch import Tensor, nn

from fusion_core.models.blocks import (
    FIM,
    PSIM,
    SFIM,
    ConcatFusion,
    PlainJoin,
    conv3x3,
    resize,
)
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.network_config import NetworkConfig
from fusion_core.models.pooling import Pooling

SHALLOW_LEVELS = 2
"""Levels 1 and 2 hold fine detail and meet in SFIM; deeper ones meet in PSIM."""


class RefineFuse(FusionNetwork):
    """The fusion network; see ``forward``.

    Activations: ReLU after every 3x3 convolution of encoders and decoders, none inside or right
    after the interactions, Tanh mapped to [0, 1] at the end. The paper names only those of the last
    decoder. The tanh may be stretched a little and clipped (``NetworkConfig.stretch``): plain, it
    made 1.0 grey level in the mean of what is black in both sources. There are no normalisation
    layers: brightness is part of the result.
    """

    name = "refinefuse"
    config: NetworkConfig

    def __init__(self, config: NetworkConfig | None = None) -> None:
        """Build an untrained network from ``config``, the default one where none is given."""
        super().__init__()
        self.config = config or NetworkConfig()
        widths, decoder = self.config.widths[: self.config.levels], self.config.decoder_width
        self.encoder_ir = _encoder(widths)
        self.encoder_vi = _encoder(widths)
        self.interactions = nn.ModuleList(self._interaction(i) for i in range(len(widths)))
        # decoders[0] makes the picture; the others each double the size on the way there.
        self.decoders = nn.ModuleList([_last_body(widths[0], decoder, has_deep=len(widths) > 1)])
        for level in range(1, len(widths)):
            inputs = widths[level] if level == len(widths) - 1 else decoder + widths[level]
            if level == 1 and len(widths) > SHALLOW_LEVELS:
                inputs = decoder
            self.decoders.append(_decoder(inputs, decoder))
        if len(widths) > SHALLOW_LEVELS:
            self.join = (FIM if self.config.fim else PlainJoin)(decoder, widths[1])
        self.head = conv3x3(decoder // 2 or 1, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def multiple(self) -> int:
        """Height and width must be multiples of this number of pixels."""
        return self.config.multiple

    @property
    def receptive_radius(self) -> int:
        """How many pixels around one its value depends on, apart from what is pooled."""
        return self.config.receptive_radius

    @property
    def cells(self) -> int:
        """Cells of the grid that is pooled over, along each side; 0 where nothing is pooled."""
        pools = self.config.levels > SHALLOW_LEVELS and (self.config.psim or self.config.fim)
        return self.config.token_grid if pools else 0

    def bytes_per_pixel(self, element: int) -> int:
        """Return what a fusion takes for each pixel; see ``NetworkConfig.bytes_per_pixel``."""
        return self.config.bytes_per_pixel(element)

    def _interaction(self, level: int) -> nn.Module:
        width = self.config.widths[level]
        if level < SHALLOW_LEVELS:
            return SFIM(width) if self.config.sfim else ConcatFusion(width)
        if self.config.psim:
            return PSIM(width, self.config.token_grid)
        return ConcatFusion(width)

    def body_to(self, dtype: torch.dtype) -> Self:
        """Cast all weights but the last convolution's, which stay fp32; return this network."""
        for name, child in self.named_children():
            if name != "head":
                child.to(dtype)
        return self

    def forward(self, ir: Tensor, vi: Tensor, pooling: Pooling | None = None) -> Tensor:
        """Fuse aligned pairs.

        The body runs in its weights' dtype, or in autocast's. The last convolution and the
        activation are fp32 always: a bf16 last layer changes one 8-bit pixel in six by one level.

        Args:
            ir: Infrared, (B, 1, H, W), in [0, 1]; H and W multiples of ``config.multiple``.
            vi: Visible luminance, same shape and range.
            pooling: What pools in the image's place. Default: the image pools over itself.

        Returns:
            Fused luminance, (B, 1, H, W), float32, in [0, 1].
        """
        fused = self._interact(ir, vi, pooling)
        features = self._decode(fused, pooling)
        with _without_autocast(features.device.type):
            stretched = self.config.stretch * torch.tanh(self.head(features.float()))
            return ((stretched + 1) / 2).clamp(0, 1)

    def pool(self, ir: Tensor, vi: Tensor, pooling: Pooling) -> None:
        """Run as far as anything is pooled, in half the memory and time of ``forward``."""
        fused = self._interact(ir, vi, pooling, first=1)
        deep = self._descend(fused)
        if deep is not None and isinstance(self.join, FIM):
            pooling.weights(self.join, deep, fused[1])

    def _interact(
        self, ir: Tensor, vi: Tensor, pooling: Pooling | None, first: int = 0
    ) -> dict[int, Tensor]:
        """Encode and join both images; return the fused features by level, from ``first`` on."""
        dtype = next(self.encoder_ir.parameters()).dtype
        ir = ir.to(dtype, memory_format=torch.channels_last)
        vi = vi.to(dtype, memory_format=torch.channels_last)
        fused = {}
        stages = zip(self.encoder_ir, self.encoder_vi, self.interactions, strict=True)
        for level, (encode_ir, encode_vi, interact) in enumerate(stages):
            ir, vi = encode_ir(ir), encode_vi(vi)
            if isinstance(interact, PSIM):
                attended = pooling and pooling.attended(level, interact, ir, vi)
                fused[level] = interact(ir, vi, attended)
            elif level >= first:
                fused[level] = interact(ir, vi)
        return fused

    def _decode(self, fused: dict[int, Tensor], pooling: Pooling | None) -> Tensor:
        """Decode from the coarsest to the finest level, to (B, decoder_width // 2, H, W)."""
        deep = self._descend(fused)
        if len(fused) > 1:
            features = fused[1] if deep is None else self._join(deep, fused[1], pooling)
            deep = resize(self.decoders[1](features), (fused[0].shape[-2], fused[0].shape[-1]))
        last = fused[0] if deep is None else torch.cat((deep, fused[0]), dim=1)
        body: Tensor = self.decoders[0](last)
        return body

    def _descend(self, fused: dict[int, Tensor]) -> Tensor | None:
        """Decode from the coarsest level to the second's size; None where there are but two."""
        deep: Tensor | None = None
        for level in range(self.config.levels - 1, 1, -1):
            features = fused[level] if deep is None else torch.cat((deep, fused[level]), dim=1)
            finer = fused[level - 1].shape
            deep = resize(self.decoders[level](features), (finer[-2], finer[-1]))
        return deep

    def _join(self, deep: Tensor, shallow: Tensor, pooling: Pooling | None) -> Tensor:
        """Join level 2 with the levels below it."""
        if pooling is None or not isinstance(self.join, FIM):
            joined: Tensor = self.join(deep, shallow)
        else:
            joined = self.join(deep, shallow, pooling.weights(self.join, deep, shallow))
        return joined


def _without_autocast(device: str) -> AbstractContextManager[object]:
    """Switch autocast off on ``device`` if it knows autocast at all: the meta device does not."""
    if not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def _encoder(widths: tuple[int, ...]) -> nn.ModuleList:
    """Return a 3x3 convolution with ReLU for each level; all but the first halve the size."""
    stages = nn.ModuleList()
    inputs = 1
    for level, width in enumerate(widths):
        convolution = conv3x3(inputs, width, stride=1 if level == 0 else 2)
        stages.append(nn.Sequential(convolution, nn.ReLU(inplace=True)))
        inputs = width
    return stages


def _decoder(inputs: int, width: int) -> nn.Sequential:
    """Return a 1x1 convolution to ``width`` and a 3x3 one; the doubling of size comes after."""
    return nn.Sequential(nn.Conv2d(inputs, width, 1), conv3x3(width, width), nn.ReLU(inplace=True))


def _last_body(finest: int, width: int, *, has_deep: bool) -> nn.Sequential:
    """Return the first three of the last decoder's four 3x3 convolutions."""
    half = width // 2 or 1
    return nn.Sequential(
        conv3x3(finest + width if has_deep else finest, width),
        nn.ReLU(inplace=True),
        conv3x3(width, width),
        nn.ReLU(inplace=True),
        conv3x3(width, half),
        nn.ReLU(inplace=True),
    )
