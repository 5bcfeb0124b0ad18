"""Everything about one pair or one chunk: network, metrics, image files, pairing, manifest.

As a library: ``fuse``, ``score`` and ``read_manifest``.
"""

from fusion_core.api import fuse
from fusion_core.archive.manifest import read_manifest
from fusion_core.metrics import score

__all__ = ["fuse", "read_manifest", "score"]
