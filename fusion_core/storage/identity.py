"""What a file is known by: its ETag, the version id that the store gave it, or a checksum.

Versions of different kinds begin differently, so that none is taken for another: ``v:…``,
``sha256:…``, ``crc64nvme:…``. An ETag has nothing in front.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Any

from fusion_core.errors import StorageError
from fusion_core.storage.store_calls import Identity, StoreCalls
from fusion_core.storage.version import object_version

_OF_S3 = ("SHA256", "CRC64NVME", "SHA1", "CRC32C", "CRC32")  # the best first
_NO_VERSION = ("", "null", None)


def version_by(identity: Identity, storage: StoreCalls, path: str, info: Mapping[str, Any]) -> str:
    """Return the version of an object; where the store keeps no such thing of it, its ETag.

    Args:
        identity: What it is to be known by.
        storage: The store.
        path: The object's path there.
        info: What the store says of it, in a listing or on its own.

    Raises:
        FileNotFoundError: It is gone.
        StorageError: It can't be looked up, or the store is of a kind that keeps no version ids.
    """
    if identity == "version":
        return _version_id(storage, path, info)
    if identity == "checksum":
        return _checksum(storage, path, info) or object_version(info)
    return object_version(info)


def holds(version: str, body: bytes) -> bool:
    """Tell whether bytes are those of a version by themselves; a False leaves it open."""
    if version.startswith("sha256:"):
        return version == f"sha256:{hashlib.sha256(body).hexdigest()}"
    # The ETag is the MD5 of what was uploaded in one piece and not encrypted with other keys.
    return hashlib.md5(body, usedforsecurity=False).hexdigest() == version


def _version_id(storage: StoreCalls, path: str, info: Mapping[str, Any]) -> str:
    if storage.on_s3:
        held = info.get("VersionId")
        # What was stored before versioning was turned on may be replaced under the same id.
        return f"v:null:{object_version(info)}" if held in _NO_VERSION else f"v:{held}"
    for name in ("generation", "version_id"):
        if info.get(name):
            return f"v:{info[name]}"
    raise StorageError(
        f"{storage.url(path)} has no version id, by which files are to be known; expected a bucket "
        "that keeps versions. Turn them on, or choose the identity etag or checksum"
    )


def _checksum(storage: StoreCalls, path: str, info: Mapping[str, Any]) -> str | None:
    if storage.is_local:
        return f"sha256:{storage.sha256(path)}"
    if not storage.on_s3:
        return f"md5:{_hex(info['md5Hash'])}" if info.get("md5Hash") else None
    head = storage.head(path, ChecksumMode="ENABLED")
    for name in _OF_S3:
        if head.get(f"Checksum{name}"):
            return f"{name.lower()}:{_hex(head[f'Checksum{name}'])}"
    return None


def _hex(text: str) -> str:
    """Return base64 as hexadecimal digits; what tells the number of parts stays behind them."""
    digits, dash, parts = text.partition("-")
    try:
        return base64.b64decode(digits, validate=True).hex() + dash + parts
    except binascii.Error:
        return text
