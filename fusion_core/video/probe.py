"""Tells how much work a clip is, by its headers."""

from __future__ import annotations

from fusion_core.archive.plan import PairRef
from fusion_core.errors import PairError
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage
from fusion_core.video.clip import Clip


def count_pixels(source: Storage, ref: PairRef, settings: FuseArchiveSettings) -> int:
    """Return how many pixels the visible frames of a clip have together, by its header.

    Args:
        source: The store that it is in.
        ref: The clip.
        settings: The run's settings.

    Returns:
        0 where it can't be opened, or doesn't say how long it lasts.

    Raises:
        UnreachableError: The store gives no answer.
    """
    try:
        facts = Clip(source, ref, settings).vi.facts
    except PairError:
        return 0
    return int(facts.width * facts.height * float(facts.rate) * (facts.declared or 0.0))
