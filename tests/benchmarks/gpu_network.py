"""The network on the card: time of every way to run it, its floors and differences."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from gpu_card import Scale, attempt, milliseconds, settle
from record import spread
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fusion_core.demo.archive import make_pair
from fusion_core.images.colour import luminance
from fusion_core.models.network import RefineFuse
from fusion_core.models.network_fuser import MARGIN, NetworkFuser
from fusion_core.models.padding import pad_reflected
from fusion_core.models.weights_file import load_weights

DISTINCT = 4  # pairs of a batch; the rest repeats them
LONGEST_COMPILING = 60.0  # seconds that must be left for one more to be begun

Size = tuple[int, int]
Call = Callable[[], Tensor]


def floors(scale: Scale, ceiling: dict[str, float]) -> dict[str, Any]:
    """Say how fast a pair can be at best, by size.

    ``floor_ms`` is that of the whole: its arithmetic, or its images read and written once.
    ``floor_by_layer_ms`` adds up the convolutions, each of which reads its input and writes its
    output once, as long as no two of them share a kernel.
    """
    return {name_of(size): _floor(size, ceiling) for size in scale.sizes}


def _floor(size: Size, ceiling: dict[str, float]) -> dict[str, float]:
    with torch.device("meta"):
        model = RefineFuse().body_to(torch.bfloat16)
        image = pad_reflected(torch.empty(1, 1, size[1], size[0]), model.config.multiple, MARGIN)
    layers: list[float] = []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        arithmetic = 2 * output.numel() * layer.weight[0].numel()
        moved = (inputs[0].numel() + output.numel()) * output.element_size()
        layers.append(
            max(arithmetic / ceiling["flop_per_second"], moved / ceiling["bytes_per_second"])
        )

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image, image)
    arithmetic, moved = counter.get_total_flops(), 3 * size[0] * size[1] * 4
    whole = max(arithmetic / ceiling["flop_per_second"], moved / ceiling["bytes_per_second"])
    return {
        "gflop": round(arithmetic / 1e9, 2),
        "fewest_mb": round(moved / 1e6, 2),
        "floor_ms": round(1e3 * whole, 5),
        "floor_by_layer_ms": round(1e3 * sum(layers), 5),
    }


def eager(scale: Scale, floor: dict[str, Any]) -> dict[str, Any]:
    """Time the fuser as it is loaded, and its network alone on padded images."""

    def measured(precision: str, size: Size, batch: int) -> dict[str, Any]:
        model, fuser = loaded(scale.device, precision)
        ir, vi = (side.to(scale.device) for side in pairs(size, batch))

        def fuse() -> Tensor:
            return fuser(ir, vi)

        calls: dict[str, Callable[[], Call]] = {
            "fuser": lambda: fuse,
            "network": lambda: on_padded(model, ir, vi),
        }
        return {
            name: attempt(lambda make=make: timed(make(), scale, floor, size, batch))
            for name, make in calls.items()
        }

    return over_all(scale, measured)


def graphs(scale: Scale, floor: dict[str, Any]) -> dict[str, Any]:
    """Time the network on padded images as a CUDA graph."""

    def measured(precision: str, size: Size, batch: int) -> dict[str, Any]:
        model, _ = loaded(scale.device, precision)
        ir, vi = (side.to(scale.device) for side in pairs(size, batch))
        replay = captured(on_padded(model, ir, vi), scale.device)
        return {"graph": timed(replay, scale, floor, size, batch)}

    return over_all(scale, measured)


def compiled(scale: Scale, floor: dict[str, Any], until: float) -> dict[str, Any]:
    """Time the fuser with its network compiled, and the compiled network as a CUDA graph.

    Args:
        scale: How much.
        floor: What ``floors`` returned.
        until: By time.monotonic; what isn't begun in time is left out.
    """

    def measured(precision: str, size: Size, batch: int) -> dict[str, Any] | str:
        if time.monotonic() + LONGEST_COMPILING > until and scale.backend == "inductor":
            return "left out: the benchmark's time was over"
        torch.compiler.reset()  # or the shapes before would make this one a dynamic one
        model, fuser = loaded(scale.device, precision)
        model.compile(backend=scale.backend, dynamic=False)
        ir, vi = (side.to(scale.device) for side in pairs(size, batch))
        begin = time.perf_counter()
        fuser(ir, vi)
        seconds = time.perf_counter() - begin
        return {
            "seconds_to_compile": round(seconds, 1),
            "fuser": attempt(lambda: timed(lambda: fuser(ir, vi), scale, floor, size, batch)),
            "graph": attempt(
                lambda: timed(
                    captured(on_padded(model, ir, vi), scale.device), scale, floor, size, batch
                )
            ),
        }

    return over_all(scale, measured)


def over_all(scale: Scale, measured: Callable[[str, Size, int], Any]) -> dict[str, Any]:
    """Measure at every size, batch and precision, the largest batch of the first size first."""
    found: dict[str, Any] = {}
    for size in scale.sizes:
        for batch in sorted(scale.batches, reverse=True):
            found[f"{name_of(size)}, batch {batch}"] = {
                precision: attempt(
                    lambda precision=precision, size=size, batch=batch: measured(
                        precision, size, batch
                    )
                )
                for precision in scale.precisions
            }
    return found


def timed(
    call: Call, scale: Scale, floor: dict[str, Any], size: Size, batch: int
) -> dict[str, Any]:
    """Time a way to fuse a batch and compare what it fuses with fp32 on the CPU."""
    values = [each / batch for each in milliseconds(call, scale.device, scale.rounds)]
    settle(scale.device)
    median, best = float(np.median(values)), floor[name_of(size)]
    return {
        "ms_a_pair": spread(values, 4),
        "share_of_roofline": round(best["floor_ms"] / median, 4),
        "share_of_roofline_by_layer": round(best["floor_by_layer_ms"] / median, 4),
        "grey_levels_off": difference(call(), reference(size)),
    }


def whole_graph(scale: Scale) -> str:
    """Say whether all of the fuser, its padding included, can be a CUDA graph.

    Last of all that is measured: a capture that breaks off may leave the allocator as it was in it.
    """
    _, fuser = loaded(scale.device, "bf16")
    ir, vi = (side.to(scale.device) for side in pairs(scale.sizes[0], 1))
    fused = captured(lambda: fuser(ir, vi), scale.device)()
    off = difference(fused, reference(scale.sizes[0]))
    return f"it can; mean of {off['mean']} grey levels off"


def loaded(device: str, precision: str) -> tuple[RefineFuse, NetworkFuser]:
    """Load the packaged weights as the project does; the network is the fuser's own."""
    model, info = load_weights("refinefuse")
    return model, NetworkFuser(model, device, precision, info.sha256)  # type: ignore[arg-type]


def on_padded(model: RefineFuse, ir: Tensor, vi: Tensor) -> Call:
    """Return what runs the network alone, on images that the fuser's padding is done to before."""
    height, width = ir.shape[-2:]
    padded = [pad_reflected(image, model.config.multiple, MARGIN) for image in (ir, vi)]

    @torch.inference_mode()
    def call() -> Tensor:
        fused: Tensor = model(*padded)
        return fused[..., MARGIN : MARGIN + height, MARGIN : MARGIN + width]

    return call


def captured(call: Call, device: str) -> Call:
    """Return what replays a call from a CUDA graph; its result is the same tensor every time."""
    if not device.startswith("cuda"):
        raise RuntimeError("only a CUDA card has CUDA graphs")
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        fused = call()

    def replay(_: Call = call) -> Tensor:  # only the call holds the images that the graph reads
        graph.replay()
        return fused

    return replay


def pairs(size: Size, count: int) -> tuple[Tensor, Tensor]:
    """Return infrared and visible luminance of generated pairs, each (count, 1, H, W), in turns."""
    turns = torch.arange(count) % DISTINCT
    ir, vi = _distinct(size)
    return ir[turns], vi[turns]


@cache
def _distinct(size: Size) -> tuple[Tensor, Tensor]:
    made = [make_pair(seed, size[1], size[0]) for seed in range(DISTINCT)]
    sides = ([luminance(pair.ir) for pair in made], [luminance(pair.vi) for pair in made])
    ir, vi = (torch.from_numpy(np.stack(side))[:, None] for side in sides)
    return ir, vi


@cache
def reference(size: Size) -> Tensor:
    """Fuse the distinct pairs in fp32 on the CPU."""
    return loaded("cpu", "fp32")[1](*_distinct(size))


def difference(fused: Tensor, expected: Tensor) -> dict[str, float]:
    """Compare the pairs that both have, in grey levels of 255."""
    count = min(len(fused), len(expected))
    off = 255 * (fused[:count].float().cpu() - expected[:count]).abs()
    return {"mean": round(float(off.mean()), 4), "largest": round(float(off.max()), 3)}


def name_of(size: Size) -> str:
    """Return width and height as people write them."""
    return f"{size[0]}x{size[1]}"
