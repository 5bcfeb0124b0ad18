"""Temporary folders that don't outlive their process for long, however it ends."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fusion_core.scenes.cog import writing

_PREFIX = "fuse-archive-scene-"
_LOCK = "lock"
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


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Give a temporary folder, and remove those that killed processes of this machine left."""
    sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        folder = Path(name)
        fresh = folder / "fresh"
        # The system releases the lock when the process ends, also by SIGKILL.
        with fresh.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fresh.rename(folder / _LOCK)  # which nobody ever sees unlocked while we live
            yield folder


def sweep(parent: Path) -> None:
    """Remove the scratch folders below ``parent`` that no living process holds."""
    for path in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with suppress(OSError), path.open("r+") as lock:  # somebody else's, or gone meanwhile
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path.parent, ignore_errors=True)
