"""The temporary files of a scene while it is fused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fusion_core.scenes.cog import writing
from fusion_core.storage.scratch import scratch_folder

_PROBE_BYTES = 1 << 16


@dataclass(frozen=True)
class ScratchFiles:
    """The files of a scene while it is fused.

    Attributes:
        work: The fused pixels, tile after tile.
        greys: Both sources in grey, and where both are valid: what scoring needs.
        cog: The finished file.
    """

    work: Path
    greys: Path
    cog: Path


@contextmanager
def scene_scratch() -> Iterator[ScratchFiles]:
    """Give the paths of a scene's files in a temporary folder that can be written to.

    Raises:
        EncodeError: There is no such folder, or no room in it; a scene's sources would look bad
            otherwise.
    """
    with ExitStack() as held:
        with writing("what a scene needs while it is fused"):
            folder = held.enter_context(scratch_folder())
            probe = folder / "probe"
            probe.write_bytes(bytes(_PROBE_BYTES))
            probe.unlink()
        yield ScratchFiles(folder / "work.tif", folder / "greys.tif", folder / "fused.tif")
