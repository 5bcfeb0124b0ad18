"""The columns of the manifest, each with its type and its description."""

from __future__ import annotations

import pyarrow as pa

from fusion_core.metrics import METRIC_NAMES

OWN_METHOD = "refinefuse"
"""The method of all rows of schema version 1."""

SCHEMA_VERSION = "7"
STAGES = ("read", "decode", "fuse", "encode", "score", "write")
"""Stages of a pair that are timed, in their order."""

STATUSES = ("ok", "failed", "undone", "skipped")
"""What an attempt can have come to."""

CAUSES = ("pair", "archive", "store", "worker", "gpu", "memory", "time")
"""What an attempt that is not ok is blamed on; ``pair`` alone is a verdict, see jobs.verdict."""

MATRIX = pa.list_(pa.field("element", pa.float64()))
"""Type of a matrix, by rows; its field is called as Parquet calls it, to be read as written."""

_UTC = pa.timestamp("us", tz="UTC")


def _field(name: str, kind: pa.DataType, description: str, *, nullable: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


def _source_fields(side: str, name: str) -> list[pa.Field]:
    return [
        _field(f"{side}_url", pa.string(), f"URL of the {name} image", nullable=False),
        _field(
            f"{side}_version",
            pa.string(),
            "its ETag, or size and modification time",
            nullable=False,
        ),
        _field(f"{side}_bytes", pa.int64(), "its size in bytes", nullable=False),
    ]


# Null for photographs, but for overlap, remark and scalings. What scaled the values is kept, since
# without it no score can be repeated.
_SCENE_FIELDS = [
    _field("bands", pa.int32(), "bands of a fused scene"),
    _field("data_type", pa.string(), "data type of its pixels, as NumPy names it"),
    _field("crs", pa.string(), "its coordinate system: authority and code, or WKT"),
    *(
        _field(name, pa.float64(), f"{name} end of its grid, in degrees of WGS 84")
        for name in ("west", "south", "east", "north")
    ),
    _field("outline", pa.binary(), "outline of what holds data in it, likewise, as WKB"),
    _field("acquired", _UTC, "when it was taken, by its tags or its name"),
    _field("overlap", pa.float64(), "share of the visible image that was fused, 0 to 1"),
    _field("remark", pa.string(), "what a reader of the fused image should know"),
    *(
        _field(f"{side}_{name}", kind, f"{text} of the {side} image's values for the model")
        for side in ("ir", "vi")
        for name, kind, text in (
            ("scaling", pa.string(), "scaling: percentiles, range or type,"),
            ("low", pa.float64(), "value that became black,"),
            ("high", pa.float64(), "value that became white,"),
        )
    ),
    _field("quicklook_url", pa.string(), "URL of its picture as PNG"),
    _field("item_url", pa.string(), "URL of its STAC item"),
]

# Null for whatever is no clip.
_CLIP_FIELDS = [
    _field("frames", pa.int32(), "frames of a fused clip"),
    _field("frames_unmatched", pa.int32(), "visible frames of a clip without an infrared one"),
    _field("ir_frames_unused", pa.int32(), "infrared frames of a clip that no visible one took"),
    _field("duration", pa.float64(), "how long a fused clip is shown, in seconds"),
    _field("frame_rate", pa.float64(), "frames a second of a fused clip, in the mean"),
    _field("frames_url", pa.string(), "URL of the scores of each frame of a clip, as Parquet"),
    *(
        field
        for name in METRIC_NAMES
        for field in (
            _field(f"{name}_least", pa.float64(), f"{name.upper()} of a clip's worst frame by it"),
            _field(f"{name}_worst_frame", pa.int32(), "number of that frame, from 0"),
        )
    ),
]

_REGISTRATION_FIELDS = [
    _field(
        "registration",
        pa.string(),
        "whether both images show one place: aligned, shifted, unsure, or corrected before fusing",
    ),
    _field(
        "shift_x",
        pa.float64(),
        "pixels by which the infrared image's middle lay to the right of the visible one's",
    ),
    _field("shift_y", pa.float64(), "pixels by which it lay below it"),
    _field("registration_score", pa.float64(), "how sure that is, 0 to 1"),
    _field(
        "registration_matrix",
        MATRIX,
        "3 x 3 by rows, from visible pixels (x, y, 1) to infrared ones; null unless corrected",
    ),
]

MANIFEST_SCHEMA = pa.schema(
    [
        _field("run_id", pa.string(), "the run that wrote the row", nullable=False),
        _field(
            "date",
            pa.date32(),
            "date of the run; the folder, not a column of the file",
            nullable=False,
        ),
        _field("method", pa.string(), "what made the fused image", nullable=False),
        _field(
            "pair_id", pa.string(), "what both source images share in their names", nullable=False
        ),
        *_source_fields("ir", "infrared"),
        *_source_fields("vi", "visible"),
        _field("fused_url", pa.string(), "URL of the fused image; null where fusing failed"),
        _field("fused_version", pa.string(), "version of an image that was only scored"),
        _field("fused_sha256", pa.string(), "sha256 of the fused file's bytes, in hex"),
        _field("fused_bytes", pa.int64(), "size of the fused file in bytes"),
        _field(
            "fused_format",
            pa.string(),
            "png, jpeg, webp or tiff; cog for a scene; mp4 or mkv for a clip",
        ),
        _field("height", pa.int32(), "height of the fused image in pixels"),
        _field("width", pa.int32(), "width of the fused image in pixels"),
        _field("bit_depth", pa.int32(), "bits per channel of the fused image"),
        *_SCENE_FIELDS,
        *_CLIP_FIELDS,
        *_REGISTRATION_FIELDS,
        _field(
            "status",
            pa.string(),
            "ok; failed, for good; undone, to be tried again; or skipped, since it is archived",
            nullable=False,
        ),
        _field("attempt", pa.int32(), "number of the attempt at the pair: the highest counts"),
        _field("stage", pa.string(), "where an attempt ended that is not ok"),
        _field("cause", pa.string(), f"what is to blame for that: {', '.join(CAUSES)}"),
        _field("error_type", pa.string(), "class of its error"),
        _field("error_message", pa.string(), "what was found, what was expected, what to do"),
        _field("history", pa.string(), "causes of all attempts so far, the first first"),
        *(
            _field(
                name,
                pa.float64(),
                f"{name.upper()} of the fused image, or mean over a clip's; null where undefined",
            )
            for name in METRIC_NAMES
        ),
        _field("metrics_undefined", pa.string(), "why metrics of an ok row are null, if any are"),
        _field(
            "metric_version", pa.string(), "names the definitions of the metrics", nullable=False
        ),
        _field(
            "model_hash",
            pa.string(),
            "sha256 of the model that fused; null for other methods",
        ),
        _field(
            "settings_hash", pa.string(), "digest of what decides pixels or scores", nullable=False
        ),
        _field("software_version", pa.string(), "version of fuse-archive", nullable=False),
        *(
            _field(f"seconds_{stage}", pa.float64(), f"time of the stage {stage}, in seconds")
            for stage in STAGES
        ),
        _field("retries", pa.int32(), "calls to the stores that had to be made again for the pair"),
        _field("host", pa.string(), "machine that worked on the pair"),
        _field("device", pa.string(), "cpu or the name of the GPU"),
        _field("precision", pa.string(), "arithmetic of the model: fp32, bf16 or fp16"),
        _field(
            "engine",
            pa.string(),
            "what computed the model: eager (torch), openvino, compiled or onnxruntime",
        ),
        _field("started", _UTC, "when work on the pair began", nullable=False),
        _field("ended", _UTC, "when work on the pair ended", nullable=False),
    ],
    metadata={"schema_version": SCHEMA_VERSION},
)
"""Every column of the manifest, with its description in the field's metadata."""

PART_SCHEMA = MANIFEST_SCHEMA.remove(MANIFEST_SCHEMA.get_field_index("date"))
"""What a part file holds: the date stands in its folder's name, as Hive, DuckDB and pandas read."""
