"""The engine for GPUs, on a CPU: what it compiles, and that its images are those of torch."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pooling_network import vivid
from tiny import tiny_model

from fusion_core.models.engines import compiled
from fusion_core.models.engines.compiled import CapturedCall, CompiledEngine
from fusion_core.models.engines.engine import EagerEngine
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.pooling import ScenePooling

Shape = tuple[int, ...]


class NotingBackend:
    """Leaves operators as they are, and notes the images that something was compiled for."""

    def __init__(self) -> None:
        torch.compiler.reset()
        self.shapes: list[Shape] = []

    def __call__(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        images = (one.shape for one in inputs if isinstance(one, torch.Tensor) and one.ndim == 4)
        self.shapes.append(next(tuple(shape) for shape in images if shape[2] >= 40))
        forward: Callable[..., Any] = graph.forward
        return forward


def images(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    ir, vi = torch.rand(2, *shape, generator=torch.Generator().manual_seed(sum(shape)))
    return ir, vi


@torch.inference_mode()
def test_the_first_shapes_are_compiled_once_each_and_the_others_are_eager(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled, "MOST_SHAPES", 2)
    network, backend = tiny_model().eval(), NotingBackend()
    engine, eager = CompiledEngine(network, backend=backend), EagerEngine(network)
    shapes = [(1, 1, 40, 48), (3, 1, 40, 48), (1, 1, 40, 56)]
    for shape in [*shapes, *shapes]:
        pair = images(*shape)
        torch.testing.assert_close(engine.fuse(*pair), eager.fuse(*pair), atol=1e-5, rtol=0)
    assert backend.shapes == shapes[:2]
    engine.give_back()
    engine.fuse(*images(*shapes[2]))
    assert list(engine._calls) == [shapes[2]]


@torch.inference_mode()
def test_tiles_of_a_scene_and_its_pooling_are_eager() -> None:
    network, backend = vivid().eval(), NotingBackend()
    engine, eager = CompiledEngine(network, backend=backend), EagerEngine(network)
    pair = images(1, 1, 64, 64)
    scene = ScenePooling(
        engine.pool(*pair), preview_size=(48, 48), scene_size=(96, 96), multiple=8, margin=8
    )
    tile = scene.tile(slice(0, 48), slice(0, 48))
    assert torch.equal(engine.fuse(*pair, tile), eager.fuse(*pair, tile))
    assert not backend.shapes


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a card")
@torch.inference_mode()
def test_a_captured_call_computes_other_images_and_keeps_none() -> None:
    network = vivid().eval().cuda()
    sides = [side.cuda() for side in images(2, 1, 48, 40)]
    captured = CapturedCall.of(network, *sides)
    first, kept = captured(*sides), captured(*sides).clone()
    captured(*(1 - side for side in sides))
    assert torch.equal(first, kept)
    torch.testing.assert_close(first, network(*sides), atol=1e-3, rtol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a card")
def test_on_a_card_it_gives_the_same_pictures_as_torch() -> None:
    pair = images(2, 1, 60, 70)
    eager, compiled = (
        NetworkFuser(vivid(), "cuda", "fp32", engine=engine)(*pair)  # type: ignore[arg-type]
        for engine in ("eager", "compiled")
    )
    torch.testing.assert_close(compiled, eager, atol=1e-3, rtol=0)
