"""What a segment leaves to the next survives a file, bit by bit."""

import numpy as np
import pytest
import torch
from generated_scenes import texture
from pooling_network import vivid
from safetensors.numpy import load, save

from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import PreviewPooling, ScenePooling
from fusion_core.models.tiling.room import Room
from fusion_core.video.steady import SteadyFuser, SteadyState
from fusion_core.video.steady_arrays import from_arrays, to_arrays


def assert_same(one: ScenePooling | None, other: ScenePooling | None) -> None:
    if one is None or other is None:
        assert one is other
        return
    for name in ("preview_size", "scene_size", "multiple", "margin"):
        assert getattr(one, name) == getattr(other, name)
    assert one.preview.grids.keys() == other.preview.grids.keys()
    tensors = [
        (one.preview.grids[level], other.preview.grids[level]) for level in one.preview.grids
    ]
    weights = (one.preview.channel_weights, other.preview.channel_weights)
    assert (weights[0] is None) == (weights[1] is None)
    for a, b in [*tensors, *([weights] if weights[0] is not None else [])]:
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


def through_a_file(state: SteadyState) -> SteadyState:
    arrays, text = to_arrays(state)
    assert {array.dtype for array in arrays.values()} <= {np.dtype(np.float32)}
    return from_arrays(load(save(arrays)), text)


def test_nothing_becomes_nothing() -> None:
    assert through_a_file(SteadyState()) == SteadyState()


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("weighs", [True, False])
def test_tensors_of_any_type_stay_exact(kind: torch.dtype, weighs: bool) -> None:
    random = torch.Generator().manual_seed(4)

    def tensor(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random).to(kind)

    weights = tensor(1, 3, 1, 1) if weighs else None
    pooling = ScenePooling(
        PreviewPooling({2: tensor(1, 4, 3, 3), 0: tensor(1, 2, 5, 5)}, weights),
        preview_size=(20, 30),
        scene_size=(48, 64),
        multiple=16,
        margin=8,
    )
    state = SteadyState(target=pooling, change=(0.1, 1 / 3), age=7)
    found = through_a_file(state)
    assert_same(found.target, pooling)
    assert (found.carried, found.thumbnails, found.change, found.age) == (
        None,
        None,
        (0.1, 1 / 3),
        7,
    )


def test_a_clip_goes_on_as_if_it_had_not_been_stopped_but_for_what_is_held() -> None:
    network = NetworkFuser(vivid(), "cpu", "fp32")
    frames = [
        tuple(texture(seed + side, (48, 64)).astype(np.float32) * 0.5 for side in (0, 40))
        for seed in (1, 1, 2, 3)
    ]
    before = SteadyFuser(Room(network), tile_size=512)
    for ir, vi in frames[:3]:
        before.fuse(ir, vi)
    state = through_a_file(before.state)
    assert state.before is None
    assert_same(state.target, before.state.target)
    assert_same(state.carried, before.state.carried)
    assert state.thumbnails is not None
    assert before.state.thumbnails is not None
    for one, other in zip(state.thumbnails, before.state.thumbnails, strict=True):
        assert np.array_equal(one, other)
    after = SteadyFuser(Room(network), tile_size=512, state=state)
    before.state.before = None
    ir, vi = frames[3]
    one, other = before.fuse(ir, vi), after.fuse(ir, vi)
    assert np.array_equal(one[0], other[0])
    assert one[1] == other[1]
