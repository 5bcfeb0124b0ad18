"""The card under test: what it is, its ceilings, and how time on it is measured."""

from __future__ import annotations

import math
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

_LEAST_MS = 10.0  # of one timing, which a call of a small batch is far below
_MOST_CALLS = 50
_NAMED_KERNELS = 10


@dataclass(frozen=True)
class Scale:
    """How much is measured, and where.

    Attributes:
        device: As torch names it.
        minutes: After which nothing more is compiled; the rest is short.
        rounds: Of every timing.
        sizes: Width and height of the images.
        batches: Pairs in a batch.
        precisions: Of the network's body.
        backend: What torch.compile compiles with.
        copied: Bytes of the copy that shows the memory's ceiling.
        matrix: Side of the product that shows the arithmetic's.
        sides: Of the square images whose peak memory is taken.
        scored: Pairs of the batch that is scored.
        distinct: Generated pairs of the archive.
        copies: How often each of them is in it.
        chunk_pairs: Pairs in a chunk of the worker.
        threads: PyTorch's own while the project works; a worker with a GPU has one CPU.
        steps: Of the training.
        recipe: Fields of the training's settings that differ from the default.
    """

    device: str = "cuda"
    minutes: float = 7.0
    rounds: int = 15
    sizes: tuple[tuple[int, int], ...] = ((640, 480), (1024, 768))
    batches: tuple[int, ...] = (1, 8, 32)
    precisions: tuple[str, ...] = ("fp16", "bf16")
    backend: str = "inductor"
    copied: int = 2 << 30
    matrix: int = 8192
    sides: tuple[int, ...] = (256, 512, 768, 1024, 1536, 2048)
    scored: int = 32
    distinct: int = 64
    copies: int = 8
    chunk_pairs: int = 32
    threads: int = 1
    steps: int = 400
    recipe: dict[str, Any] = field(default_factory=dict)


SMOKE = Scale(
    device="cpu",
    minutes=1.0,
    rounds=2,
    sizes=((64, 64),),  # bf16 takes a CPU that can't compute in it seconds for a larger one
    batches=(2,),
    backend="eager",
    copied=1 << 20,
    matrix=64,
    sides=(32, 64),
    scored=2,
    distinct=3,
    copies=2,
    chunk_pairs=2,
    steps=4,
    recipe={"crop": 24, "batch": 2, "checkpoint_every": 2},
)
"""Enough to see that all parts run, on any machine; its numbers say nothing."""


def attempt(function: Callable[[], Any]) -> Any:
    """Return what a function returns, or in a line why it returned nothing."""
    try:
        return function()
    except Exception as error:  # whatever it is: the other measurements are still worth having
        lines = str(error).strip().splitlines()
        return f"{type(error).__name__}: {lines[0] if lines else 'without a message'}"


def synchronise(device: str) -> None:
    """Wait until the device has done all that it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def settle(device: str) -> None:
    """Give back what no tensor holds, so that a graph's own memory finds room beside it."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()


def milliseconds(function: Callable[[], Any], device: str, rounds: int) -> list[float]:
    """Time calls of a function that are given to the device one after the other.

    Returns:
        Milliseconds a call, one value a round.
    """
    first = [_stopped(function, device, 1) for _ in range(min(3, rounds))]
    calls = min(max(1, math.ceil(_LEAST_MS / max(first[-1], 1e-3))), _MOST_CALLS)
    return [_stopped(function, device, calls) for _ in range(rounds)]


def _stopped(function: Callable[[], Any], device: str, calls: int) -> float:
    synchronise(device)
    begin = time.perf_counter()
    for _ in range(calls):
        function()
    synchronise(device)
    return 1e3 * (time.perf_counter() - begin) / calls


def ceilings(scale: Scale) -> dict[str, float]:
    """Measure what the card can do: bytes read and written a second, and bf16 arithmetic."""
    source = torch.empty(scale.copied, dtype=torch.uint8, device=scale.device)
    target = torch.empty_like(source)
    copying = min(milliseconds(lambda: target.copy_(source), scale.device, scale.rounds))
    shape = (scale.matrix, scale.matrix)
    # Of noise: a product of zeros draws less power, and the card runs it faster.
    left, right = (torch.randn(shape, device=scale.device).bfloat16() for _ in range(2))
    multiplying = min(milliseconds(lambda: left @ right, scale.device, scale.rounds))
    return {
        "bytes_per_second": 2 * scale.copied / copying * 1e3,
        "flop_per_second": 2 * scale.matrix**3 / multiplying * 1e3,
    }


def facts(scale: Scale) -> dict[str, Any]:
    """Say what the card is and what drives it."""
    if not scale.device.startswith("cuda"):
        return {"device": scale.device, "threads": torch.get_num_threads()}
    known = torch.cuda.get_device_properties(scale.device)
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    driver = attempt(
        lambda: subprocess.run(
            query, capture_output=True, text=True, check=True, timeout=30
        ).stdout.split()[0]
    )
    return {
        "device": known.name,
        "memory_gib": round(known.total_memory / 2**30, 1),
        "multiprocessors": known.multi_processor_count,
        "capability": f"{known.major}.{known.minor}",
        "driver": driver,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "threads": torch.get_num_threads(),
    }


def card_time(function: Callable[[], Any], device: str) -> dict[str, Any]:
    """Say for how long a function keeps the card busy, and with what.

    Being watched slows the function but not the kernels, so a share of its time is to be taken of
    the time that it needs unwatched.

    Returns:
        Milliseconds in which a kernel ran, in which anything ran, copies too, and of the longest
        kernels by name.
    """
    if not device.startswith("cuda"):
        raise RuntimeError("only a CUDA card says when it is busy")
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as watched:
        function()
        synchronise(device)
    return summed(watched.events())


def summed(events: Iterable[Any]) -> dict[str, Any]:
    """Add up what a profile saw on the card; see ``card_time``."""
    kernels, everything = [], []
    names: dict[str, float] = defaultdict(float)
    for event in events:
        if event.device_type != DeviceType.CUDA:
            continue
        span = (event.time_range.start, event.time_range.end)
        everything.append(span)
        if not event.name.startswith(("Memcpy", "Memset")):
            kernels.append(span)
        names[event.name[:80]] += (span[1] - span[0]) / 1e3
    longest = sorted(names.items(), key=lambda item: -item[1])[:_NAMED_KERNELS]
    return {
        "kernels_ms": covered(kernels) / 1e3,
        "busy_ms": covered(everything) / 1e3,
        "longest_ms": dict(longest),
    }


def covered(spans: Iterable[tuple[float, float]]) -> float:
    """Return the length of what intervals cover together, however they overlap."""
    total, reached = 0.0, -math.inf
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
