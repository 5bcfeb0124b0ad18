"""The columns of each table of an output.

The manifest and the scores have the same. Detections have those that tell a row's image, run and
attempt, and the boxes that were found; what only fusing or scoring fills in, they lack.
"""

from __future__ import annotations

import pyarrow as pa

from fusion_core.archive.layout import DETECTIONS_FOLDER, TABLES, table_of
from fusion_core.archive.schema import MANIFEST_SCHEMA, PART_SCHEMA, SCHEMA_VERSION

_SHARED = (
    *("run_id", "date", "method", "pair_id", "ir_url", "ir_version", "ir_bytes"),
    *("vi_url", "vi_version", "vi_bytes", "height", "width", "ir_scaling", "ir_low", "ir_high"),
    *("vi_scaling", "vi_low", "vi_high", "remark", "status", "attempt", "stage", "cause"),
    *("error_type", "error_message", "history", "settings_hash", "software_version"),
    *("seconds_read", "seconds_decode", "retries", "host", "device", "engine", "started", "ended"),
)

_FLOATS, _TEXTS = (
    pa.list_(pa.field("element", kind, nullable=False)) for kind in (pa.float32(), pa.string())
)

_OWN = (
    ("fused_url", pa.string(), "URL of the image that was looked at, a side's own or a fused one"),
    ("fused_version", pa.string(), "its version"),
    ("fused_bytes", pa.int64(), "its size in bytes"),
    ("fused_sha256", pa.string(), "sha256 of its bytes, in hex"),
    ("x", _FLOATS, "left edges of the boxes, in pixels of the image, the best box first"),
    ("y", _FLOATS, "their upper edges"),
    ("box_width", _FLOATS, "their widths"),
    ("box_height", _FLOATS, "their heights"),
    ("score", _FLOATS, "their scores, 0 to 1"),
    ("class_name", _TEXTS, "their classes, as the detector's description names them"),
    ("metric_version", pa.string(), "names the definitions by which boxes are found"),
    ("model_hash", pa.string(), "sha256 of the detector's file"),
    ("seconds_detect", pa.float64(), "time of the stage detect, in seconds"),
)


def _detections_schema() -> pa.Schema:
    own = [
        pa.field(
            name,
            kind,
            nullable=MANIFEST_SCHEMA.field(name).nullable
            if name in MANIFEST_SCHEMA.names
            else True,
            metadata={"description": description},
        )
        for name, kind, description in _OWN
    ]
    shared = [MANIFEST_SCHEMA.field(name) for name in _SHARED]
    return pa.schema([*shared, *own], metadata={"schema_version": SCHEMA_VERSION})


DETECTIONS_SCHEMA = _detections_schema()
"""Every column of the detections, one row per image and attempt. The boxes of an ok row are lists,
all of one length and empty where nothing was found; those of others are null."""

_DETECTIONS_PART = DETECTIONS_SCHEMA.remove(DETECTIONS_SCHEMA.get_field_index("date"))
_PART_SCHEMAS = dict.fromkeys(TABLES, PART_SCHEMA) | {DETECTIONS_FOLDER: _DETECTIONS_PART}


def part_schema(path: str) -> pa.Schema:
    """Return the columns of the table that a part or a file of published rows belongs to.

    Args:
        path: Its path below the output, or the table's name.
    """
    return _PART_SCHEMAS.get(table_of(path), PART_SCHEMA)


def column(path: str, name: str) -> pa.Field:
    """Return a column of the table that a path belongs to, or one of another table by this name.

    Args:
        path: As for ``part_schema``.
        name: The column's.

    Raises:
        KeyError: No table has it.
    """
    for schema in (part_schema(path), PART_SCHEMA, _DETECTIONS_PART):
        if name in schema.names:
            return schema.field(name)
    raise KeyError(f"no table has a column {name!r}")
