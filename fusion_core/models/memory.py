"""Handles memory that runs out, on the GPU or the host: gives back, takes less, tries again."""

from __future__ import annotations

import gc
import logging
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeVar

import torch

from fusion_core.errors import GpuFaultError, MemoryExhaustedError
from fusion_core.images.gdal_errors import GdalOutOfMemoryError
from fusion_core.models.tiling.grid import ALIGNMENT

SMALLEST_TILE = 128
"""Tiles aren't made smaller, for then what is read around them outweighs them."""

# Torch raises RuntimeError for these, where it has no class of its own. The last is said by oneDNN
# of a convolution without room; of one that it doesn't know it says "a primitive descriptor".
_TELLTALES = re.compile(
    r"(can't|cannot) allocate memory|not enough memory|out[ _]?of[ _]?memory|bad_alloc"
    r"|_ALLOC_FAILED|cudaErrorMemoryAllocation|_OUT_OF_RESOURCES"
    r"|could not create a primitive(?! desc)|failed to allocate \d+ bytes",
    re.IGNORECASE,
)
# What cuDNN and cuBLAS say where they found no room for their own, and where the GPU is broken.
_DISGUISES = re.compile(
    r"was unable to find an engine|unable to find a valid cuDNN algorithm"
    r"|CUDNN_STATUS_(INTERNAL_ERROR|NOT_INITIALIZED)|CUBLAS_STATUS_NOT_INITIALIZED",
    re.IGNORECASE,
)
_LONGEST_REASON = 200
Result = TypeVar("Result")
log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, on whatever device, also where another error was made of it."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, MemoryError | torch.OutOfMemoryError | GdalOutOfMemoryError):
            return True
        # Of an operator or the system; what a file's name or content says is no evidence.
        if isinstance(link, RuntimeError | OSError) and _TELLTALES.search(str(link)):
            return True
        link = link.__cause__
    return is_disguised(error)


def is_disguised(error: BaseException) -> bool:
    """Tell whether cuDNN or cuBLAS failed as for want of memory, or as on a broken GPU.

    That is taken for memory first. Where less of it helps nowhere, it was the GPU.
    """
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, RuntimeError) and _DISGUISES.search(str(link)):
            return True
        link = link.__cause__
    return False


@dataclass(frozen=True)
class NoRoom:
    """What an attempt came to for which memory ran out.

    Attributes:
        reason: What was said of it, in one line.
        disguised: Whether it may have been the GPU, see ``is_disguised``.
    """

    reason: str
    disguised: bool


def in_room(action: Callable[[], Result], what: str, device: str) -> Result | NoRoom:
    """Return what ``action`` does, or why memory ran out, which it has then given back.

    Args:
        action: What takes memory.
        what: Names it in the log.
        device: Where it computes, as torch names it.
    """
    try:
        return action()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        found = NoRoom(short_reason(error), is_disguised(error))
    log.warning("memory ran out on %s for %s: %s", device, what, found.reason)
    # Outside the handler: the error's traceback kept alive what the attempt had taken.
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    return found


def first_that_fits(
    sizes: Iterable[int], action: Callable[[int], Result], what: str, device: str
) -> tuple[int, Result]:
    """Do something with one size after the other, until memory holds it.

    Args:
        sizes: What to try, the largest first; in pixels.
        action: What is done with a size.
        what: Names it in messages, such as ``400x300 pixels in tiles``.
        device: Where it computes, as torch names it.

    Returns:
        The size and the result.

    Raises:
        MemoryExhaustedError: The smallest takes too much.
        GpuFaultError: It failed in a way that isn't memory, if the smallest fails of it too.
    """
    size, found = 0, NoRoom("", disguised=False)
    for size in sizes:
        result = in_room(partial(action, size), f"{what} of {size}", device)
        if not isinstance(result, NoRoom):
            return size, result
        found = result
    if found.disguised:
        raise GpuFaultError(
            f"{found.reason} on {device} for {what} of {size}; expected room for that, so that "
            "this is no want of memory. Look at the GPU and its driver"
        )
    raise MemoryExhaustedError(
        f"memory ran out on {device} for {what} of {size}; expected room for that. Leave each "
        "worker more (fewer workers on a machine, a lower memory_mb), or keep photographs of that "
        "size out by max_megapixels"
    )


def tile_sizes(largest: int) -> Iterator[int]:
    """Yield sizes of tiles in pixels: ``largest``, and its halves down to a floor."""
    size = largest
    while True:
        yield size
        if size <= SMALLEST_TILE:
            return
        size = smaller_tile(size)


def smaller_tile(size: int) -> int:
    """Return half a tile's size, or the floor."""
    return max(SMALLEST_TILE, size // 2 // ALIGNMENT * ALIGNMENT)


Shortage = Literal["ran out", "was expected to run out", "ran out in another worker"]


def tiles_remark(size: int, memory: Shortage = "ran out") -> str:
    """Return the manifest's remark on an image that was fused in smaller pieces than others."""
    return f"fused in tiles of {size} pixels, because memory {memory}"


def short_reason(error: BaseException) -> str:
    """Return the first line of an error, without the statistics that allocators add."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:_LONGEST_REASON]}".rstrip(": ")
