"""Where the fused image of a row lies, told from what the row says of its making.

A row is an object in a bucket that others may write to. What it says of places is never followed:
the path of its image is derived from the pair, the model and the settings, always lies below
``fused``, and what lies there counts only if it has the row's sha256.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fusion_core.archive.layout import CLIP_FORMATS, fused_path, path_beside
from fusion_core.archive.plan import PAIR_KEY, PairRef
from fusion_core.images.codecs import EXTENSIONS
from fusion_core.models.arithmetic import Arithmetic, DeviceKind
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile

IMAGE_COLUMNS = (
    *PAIR_KEY,
    *("model_hash", "settings_hash", "device", "precision", "engine"),
    *("fused_format", "fused_sha256", "fused_bytes", "fused_url"),
)
"""Columns of the manifest that tell where an image lies and what its bytes are."""

_HASH = re.compile(r"[0-9A-Za-z_-]{1,64}")  # of settings, which is a folder's name
_SHA256 = re.compile(r"[0-9a-f]{64}")


def image_path(row: Mapping[str, Any]) -> str | None:
    """Return the path of an ok row's image below the output.

    Args:
        row: The ``IMAGE_COLUMNS`` of a row of any schema version. ``fused_url`` is only compared
            with the paths that the image can have.

    Returns:
        None where the row can't be that of an image.
    """
    kind: Any = "tiff" if row["fused_format"] == "cog" else row["fused_format"]
    settings_hash, sha256 = str(row["settings_hash"]), str(row["fused_sha256"])
    known = kind in EXTENSIONS or kind in CLIP_FORMATS
    if not known or not (_HASH.fullmatch(settings_hash) and _SHA256.fullmatch(sha256)):
        return None
    pair_id, ir_version, vi_version = (str(row[name]) for name in PAIR_KEY)
    pair = PairRef(pair_id, "", 0, ir_version, "", 0, vi_version)
    model_hash, arithmetic = str(row["model_hash"]), _arithmetic(row)
    usual, long = (
        fused_path(pair, settings_hash, model_hash, kind, arithmetic=arithmetic, whole=whole)
        for whole in (False, True)
    )
    others = (path_beside(usual, sha256), long, path_beside(long, sha256))
    url = str(row["fused_url"])
    return next((path for path in others if url.endswith(f"/{path}")), usual)


def stored_image(output: Storage, row: Mapping[str, Any]) -> StoredFile | None:
    """Return an ok row's image, whose bytes must be those that the row vouches for.

    Args:
        output: The output that the row was read from.
        row: As for ``image_path``.

    Returns:
        None where the row can't be that of an image.
    """
    path = image_path(row)
    if path is None:
        return None
    return StoredFile(output, path, row["fused_sha256"], row["fused_bytes"])


def _arithmetic(row: Mapping[str, Any]) -> str | None:
    """Return the key of the arithmetic; None in rows before schema 5, which name none."""
    if row["precision"] is None or row["engine"] is None:
        return None
    device: DeviceKind = "cpu" if row["device"] == "cpu" else "cuda"
    return Arithmetic(device, row["precision"], row["engine"]).key
