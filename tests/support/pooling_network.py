"""A small network that pools, images on which that shows, and tiles that share what it pooled."""

import numpy as np
import torch
from generated_scenes import texture
from torch import Tensor, nn

from fusion_core.models.blocks import PSIM
from fusion_core.models.network import RefineFuse
from fusion_core.models.network_config import NetworkConfig
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import ScenePooling
from fusion_core.models.tiling.grid import Blender, cut_tiles

SMALL = NetworkConfig(widths=(6, 6, 8, 8), decoder_width=6, token_grid=4)
WHOLE_REACH = 64
"""More than the 50 pixels that a network of four levels can see at all."""


def vivid(config: NetworkConfig = SMALL) -> RefineFuse:
    """A random network whose image shows what it attends to and weighs by."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(3)
        model = RefineFuse(config)
        for weights in model.parameters():
            if weights.ndim == 4:
                nn.init.kaiming_normal_(weights)
        for block in model.modules():
            if isinstance(block, PSIM):
                for part in (block.query, block.key_value_ir, block.key_value_vi):
                    part.weight.mul_(4)
        model.head.weight.mul_(0.05)
    return model


def pair_of(height: int, width: int) -> tuple[Tensor, Tensor]:
    ir, vi = (texture(seed, (height, width)).astype(np.float32) for seed in (3, 4))
    vi = vi * np.linspace(0.2, 1, width, dtype=np.float32)  # so that parts pool otherwise
    return torch.from_numpy(ir)[None, None], torch.from_numpy(vi)[None, None]


def tiled(
    fuser: NetworkFuser,
    ir: Tensor,
    vi: Tensor,
    pooling: ScenePooling | None,
    radius: int,
    shift: int = 0,
) -> Tensor:
    height, width = ir.shape[-2:]
    result, blender = torch.zeros_like(ir), Blender(width)
    for tile in cut_tiles(height, width, 128, radius, shift=shift):
        rows, columns = tile.read
        parts = ir[..., rows, columns], vi[..., rows, columns]
        fused = fuser(*parts, pooling.tile(rows, columns) if pooling else None)
        done = blender.add(tile, fused[0, 0].numpy())
        result[0, 0][tile.final] = torch.from_numpy(done)
    return result
