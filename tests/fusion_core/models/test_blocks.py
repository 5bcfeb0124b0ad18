import pytest
import torch
from torch import nn
from torch.nn import functional

from fusion_core.models.blocks import FIM, PSIM, SFIM, ConcatFusion, PlainJoin, resize


def random_pair(channels: int, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = (2, channels, height, width)
    return torch.randn(shape, generator=generator), torch.randn(shape, generator=generator)


@pytest.mark.parametrize("block", [SFIM(6), PSIM(6, 4), ConcatFusion(6)])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (16, 4)])
def test_level_interactions_keep_the_shape(block: nn.Module, size: tuple[int, int]) -> None:
    fused = block(*random_pair(6, *size))
    assert fused.shape == (2, 6, *size)
    assert fused.isfinite().all()


@pytest.mark.parametrize("block", [SFIM(6), PSIM(6, 4), ConcatFusion(6)])
def test_level_interactions_tell_the_modalities_apart(block: nn.Module) -> None:
    ir, vi = random_pair(6, 8, 8)
    assert not torch.allclose(block(ir, vi), block(vi, ir), atol=1e-3)


def test_sfim_is_the_convolution_grouped_by_channel_pair() -> None:
    ir, vi = random_pair(5, 7, 9)
    block = SFIM(5)
    both = torch.cat((ir, vi), dim=1)
    maps = torch.cat((both.amax(1, keepdim=True), both.mean(1, keepdim=True)), dim=1)
    attention = torch.sigmoid(block.attention(maps))
    pairs = torch.stack((ir + ir * attention[:, :1], vi + vi * attention[:, 1:]), dim=2)
    weight = torch.cat((block.fuse_ir.weight, block.fuse_vi.weight), dim=1)
    expected = functional.conv2d(
        pairs.flatten(1, 2), weight, block.fuse_ir.bias, padding=1, groups=5
    )
    torch.testing.assert_close(block(ir, vi), expected, atol=1e-5, rtol=1e-5)


def test_sfim_mixes_no_channels_once_the_maps_are_fixed() -> None:
    block = SFIM(4)
    nn.init.zeros_(block.attention.weight)
    ir, vi = random_pair(4, 6, 6)
    changed = ir.clone()
    changed[:, 2] += 1
    difference = (block(changed, vi) - block(ir, vi)).abs().amax((0, 2, 3))
    assert difference[2] > 1e-3
    assert difference[[0, 1, 3]].max() < 1e-6


def test_psim_attends_as_the_formula_says() -> None:
    block, (ir, vi) = PSIM(4, 8), random_pair(4, 3, 5)
    query = block.query(torch.cat((ir, vi), dim=1)).flatten(2).transpose(1, 2)
    results = []
    for features, layer in ((ir, block.key_value_ir), (vi, block.key_value_vi)):
        key, value = layer(features).flatten(2).chunk(2, dim=1)
        scores = torch.softmax(query @ key / 4**0.5, dim=-1)
        found = (scores @ value.transpose(1, 2)).transpose(1, 2).reshape(features.shape)
        results.append(features + found)
    expected = block.fuse(torch.cat(results, dim=1))
    torch.testing.assert_close(block(ir, vi), expected, atol=1e-5, rtol=1e-4)


def test_psim_reaches_across_the_whole_image() -> None:
    block, (ir, vi) = PSIM(4, 4), random_pair(4, 32, 32)
    changed = ir.clone()
    changed[..., :4, :4] += 5
    difference = (block(changed, vi) - block(ir, vi)).abs()
    assert difference[..., -4:, -4:].max() > 1e-6


def test_fim_applies_both_channel_weights_and_the_spatial_map() -> None:
    block, (deep, shallow) = FIM(4, 4), random_pair(4, 6, 8)
    weights = torch.sigmoid(deep.mean((2, 3))) + torch.sigmoid(shallow.mean((2, 3)))
    maps = torch.stack((deep.max(1).values, deep.mean(1)), dim=1)
    expected = shallow * weights[:, :, None, None] * torch.sigmoid(block.attention(maps)) + deep
    torch.testing.assert_close(block(deep, shallow), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", [FIM, PlainJoin])
def test_joins_accept_other_widths_and_a_smaller_deep_level(kind: type[nn.Module]) -> None:
    deep, shallow = torch.randn(1, 4, 3, 4), torch.randn(1, 6, 6, 8)
    assert kind(4, 6)(deep, shallow).shape == (1, 4, 6, 8)


def test_resize_doubles_with_half_pixel_centres() -> None:
    ramp = torch.tensor([[[[0.0, 4.0]]]])
    torch.testing.assert_close(resize(ramp, (1, 4)), torch.tensor([[[[0.0, 1.0, 3.0, 4.0]]]]))
    assert resize(ramp, (1, 2)) is ramp


def test_resize_in_bf16_rounds_only_once() -> None:
    features = torch.rand(1, 3, 5, 5).bfloat16()
    exact = resize(features.float(), (10, 10)).bfloat16()
    torch.testing.assert_close(resize(features, (10, 10)), exact, atol=0, rtol=0)
