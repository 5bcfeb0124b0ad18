"""Tells from a listing which objects lie in an archive tier, whose bytes can't be read at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

_OF_S3 = {"GLACIER", "DEEP_ARCHIVE"}  # GLACIER_IR is read at once, and so is Google's ARCHIVE
_OF_AZURE = "Archive"


def archived_class(info: Mapping[str, Any]) -> str | None:
    """Return the storage class of an object that must be restored before it can be read, else None.

    Args:
        info: What a store lists of the object. S3 names the class, and, where it is asked to, a
            restored copy; Azure names the tier, which is another one once the blob is restored.
    """
    held = info.get("StorageClass")
    if held in _OF_S3:
        restored = (info.get("RestoreStatus") or {}).get("RestoreExpiryDate")
        return None if restored else str(held)
    return _OF_AZURE if str(info.get("blob_tier")) == _OF_AZURE else None


def show_tiers(fs: Any) -> None:
    """Have adlfs tell the tiers of blobs, which Azure lists and adlfs would leave out."""
    told = getattr(sys.modules[type(fs).__module__], "FORWARDED_BLOB_PROPERTIES", None)
    if isinstance(told, list) and "blob_tier" not in told:
        told.append("blob_tier")
