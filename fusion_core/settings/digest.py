"""The settings hash, which says in each row of the manifest which settings made its image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def settings_digest(values: Mapping[str, Any]) -> str:
    """Return 16 hex digits that change whenever one of the values does."""
    # JSON with sorted keys, because the digest must not depend on the order of the fields.
    return hashlib.sha256(json.dumps(dict(values), sort_keys=True).encode()).hexdigest()[:16]
