"""Rows of fused pairs, and the pairs themselves as a listing has them."""

from typing import Any

import pyarrow as pa

from fusion_core.metrics import METRIC_NAMES

OWN = {"settings_hash": "0123456789abcdef", "model_hash": "m" * 64}


def image_row(pair_id: str, **changes: Any) -> dict[str, Any]:
    """A row of a fused pair whose URLs lead elsewhere."""
    known = {"pair_id": pair_id, "ir_version": "v", "vi_version": "w", "status": "ok", **OWN}
    elsewhere = dict.fromkeys(("ir_url", "vi_url", "fused_url"), "http://127.0.0.1:1/secret.png")
    made = {
        "fused_bytes": 7,
        "fused_format": "png",
        "fused_sha256": "ab" * 32,
        "device": "cpu",
        "engine": "eager",
    }
    scores = dict.fromkeys(METRIC_NAMES, 0.5)
    return {**known, **elsewhere, **made, "precision": "fp32", **scores, **changes}


def listed(*pair_ids: str) -> pa.Table:
    """Pairs as the listing of the archive has them."""
    rows = [
        {"pair_id": one, "ir_version": "v", "vi_version": "w", "ir_path": f"ir/{one}.png"}
        | {"vi_path": f"vi/{one}.png"}
        for one in pair_ids
    ]
    return pa.Table.from_pylist(rows)
