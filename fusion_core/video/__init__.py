"""Clips: pairs of videos or of sequences of frames, matched by time and fused segment by segment.

Everything is read as it is needed, and memory is bounded by some frames, whatever a clip's length.
Nothing here commits a row. Start reading at ``clip``, which opens both sides, then ``matching``,
``steady`` and ``encoding``; README.md tells what is kept of a clip and how a lost worker's is gone
on with.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
