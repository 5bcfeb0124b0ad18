"""Where a fused image lies: a key that is known before the image is, and never changes meaning."""

from __future__ import annotations

import hashlib
from urllib.parse import quote

from fusion_core.archive.plan import PairRef
from fusion_core.images.codecs import EXTENSIONS
from fusion_core.settings import ImageFormat

FUSED_FOLDER = "fused"
_LONGEST_NAME = 150  # file systems end at 255 bytes, and the digest and extension come behind


def fused_path(pair: PairRef, settings_hash: str, model_hash: str, kind: ImageFormat) -> str:
    """Return the path of a pair's fused image below the output.

    The path holds the settings hash, and a digest of the model and of both input versions, so
    whatever could change the pixels changes the path. Characters that storage or shells treat
    specially are percent-encoded, which also keeps ``..`` from leaving the output.
    """
    versions = "\0".join((pair.pair_id, model_hash, pair.ir_version, pair.vi_version))
    digest = hashlib.sha256(versions.encode()).hexdigest()[:16]
    name = "/".join(_safe(part) for part in pair.pair_id.split("/"))
    return f"{FUSED_FOLDER}/{settings_hash}/{name}.{digest}.{EXTENSIONS[kind]}"


def _safe(part: str) -> str:
    name = quote(part, safe=" ()+,=@")
    if len(name) > _LONGEST_NAME:
        name = name[:_LONGEST_NAME].rpartition("%")[0] or name[:_LONGEST_NAME]
    if name.strip(".") == "":  # after shortening, which may leave no more than dots
        name = f"%2E{name[1:]}" if name else "%"
    return name
