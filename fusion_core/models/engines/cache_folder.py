"""The folder in which this machine keeps what would take time to make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """Return the folder, which may not exist yet; None where the user has no home.

    It is each machine's own, so that no setting of a run could name it: of XDG_CACHE_HOME, or
    ``.cache`` in the home, the part for fuse-archive.
    """
    named = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "fuse-archive"
