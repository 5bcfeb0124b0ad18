"""Runs the network on images of any size.

Whole images, batches and tiles all call a ``NetworkFuser``: it pads by reflection to a size
that the network accepts, chooses precision, and crops.
"""

import torch
from torch import Tensor

from fusion_core.models.device import DTYPES, resolve_device, resolve_precision
from fusion_core.models.engines.choice import make_engine, resolve_engine
from fusion_core.models.fusion_network import FusionNetwork
from fusion_core.models.padding import check_pair, pad_reflected
from fusion_core.models.pooling import ScenePooling, TilePooling
from fusion_core.models.weights_file import hash_model
from fusion_core.settings.fuse import EngineChoice, Precision

MARGIN = 8
"""Reflected pixels on every side, cropped afterwards.

The convolutions pad with zeros, which shows as a frame. Against 40 reflected pixels around them,
the outermost pixels of five held-out RoadScene pairs were off by 2.5 to 4.8 grey levels without a
margin, the inner ones by 0.6 to 3.2, since the network pools over all it sees; with the margin by
1.7 to 3.2 and 0.6 to 2.4: no frame is left to see. It costs 6 % more pixels at 640x480.
"""

_POOL_SHARE = 0.42
"""What pooling takes of what fusing does (measured: 670 to 720 bytes a pixel in fp32)."""


class NetworkFuser:
    """A ``Fuser`` that runs a network of this project on one device.

    Attributes:
        name: That of the network, such as ``refinefuse``, whatever its weights.
        device: Where the network runs, such as ``cpu`` or ``cuda:0``.
        precision: Precision of the network's body, ``fp32``, ``bf16`` or ``fp16``; its last
            convolution and all that callers see is fp32.
        engine: What computes it.
        model_hash: The sha256 of the weights file, or of the weights where there is no file.
        receptive_radius: How far from a pixel those lie that its value depends on, apart from
            what is pooled.
        bytes_per_pixel: What a fusion takes, see ``Fuser``.
        pool_bytes_per_pixel: What ``pool`` takes for each pixel of its preview, likewise.
        cells: Cells of the grid that is pooled over, along each side of an image; 0 for a network
            that pools nothing.
    """

    def __init__(
        self,
        model: FusionNetwork,
        device: str = "auto",
        precision: Precision = "auto",
        model_hash: str | None = None,
        *,
        engine: EngineChoice = "eager",
    ) -> None:
        """Give ``model`` to an engine; the model is the fuser's from then on.

        Args:
            model: The network, in fp32.
            device: A torch device; ``auto`` is ``cuda`` where there is one, else ``cpu``.
            precision: ``auto`` is bf16 where the device computes it natively, else fp32.
            model_hash: Hash of the file that the weights came from, if any.
            engine: What is to compute it; ``auto`` is the best that is installed.

        Raises:
            SettingsError: The device is unknown or absent, or can't run in that precision; or the
                engine isn't installed or doesn't go with them.
        """
        self.name = model.name
        self.model_hash = model_hash or hash_model(model)
        self.device = resolve_device(device)
        self.precision = resolve_precision(precision, self.device, model.precisions)
        self._multiple, self.cells = model.multiple, model.cells
        self.receptive_radius = model.receptive_radius
        self.engine = resolve_engine(engine, self.device)
        self._engine = make_engine(
            self.engine,
            model,
            device=self.device,
            precision=self.precision,
            model_hash=self.model_hash,
        )
        eager = model.bytes_per_pixel(DTYPES[self.precision].itemsize)
        self.bytes_per_pixel = int(self._engine.memory_factor * eager)
        self.pool_bytes_per_pixel = int(_POOL_SHARE * self.bytes_per_pixel)

    @torch.inference_mode()
    def __call__(self, ir: Tensor, vi: Tensor, pooling: TilePooling | None = None) -> Tensor:
        """Fuse aligned pairs as ``Fuser.__call__`` says.

        Args:
            ir: Infrared luminance.
            vi: Visible luminance.
            pooling: What a scene pooled, for a tile of it. Default: the image pools for itself.
        """
        check_pair(ir, vi)
        height, width = ir.shape[-2:]
        fused = self._engine.fuse(self._padded(ir), self._padded(vi), pooling)
        fused = fused[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]
        return fused.to(ir.device).contiguous()

    @torch.inference_mode()
    def pool(self, ir: Tensor, vi: Tensor, height: int, width: int) -> ScenePooling:
        """Pool over a preview of a scene, so that the scene's tiles agree.

        Args:
            ir: Infrared preview, (1, 1, h, w), in [0, 1].
            vi: Visible preview, likewise.
            height: Height of the scene in pixels.
            width: Its width.
        """
        check_pair(ir, vi)
        return ScenePooling(
            self._engine.pool(self._padded(ir), self._padded(vi)),
            preview_size=(ir.shape[-2], ir.shape[-1]),
            scene_size=(height, width),
            multiple=self._multiple,
            margin=MARGIN,
        )

    def give_back(self) -> None:
        """Give back the memory that the engine keeps from one fusion to the next."""
        self._engine.give_back()

    def _padded(self, image: Tensor) -> Tensor:
        return pad_reflected(image.to(self.device), self._multiple, MARGIN)
