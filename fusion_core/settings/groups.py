"""The groups that settings stand in, for help texts and forms: what one sets together."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel


@dataclass(frozen=True)
class Group:
    """Settings that belong together.

    Attributes:
        name: Its heading.
        about: What they decide, in a sentence.
        fields: Names of the settings, in the order in which they are shown.
    """

    name: str
    about: str
    fields: tuple[str, ...]


GROUPS = (
    Group("Where", "What is read, and where results go.", ("source", "output")),
    Group(
        "Pairs",
        "Which files belong together, and which pairs this run takes.",
        (
            *("ir", "vi", "index", "prefix", "date", "days", "time_zone"),
            *("pairs", "reprocess", "limit", "size_mismatch", "inventory", "identity"),
        ),
    ),
    Group(
        "What",
        "What fuses or is scored, and the files that come of it.",
        (
            *("model", "models", "fused", "detector", "detector_description", "published"),
            *("convention", "format"),
            *(
                "quality",
                "png_level",
                "precision",
                "engine",
                "model_sha256",
                "contact_sheet",
                "report",
            ),
        ),
    ),
    Group(
        "Boxes",
        "Which boxes of a detector are kept, and what they are compared with.",
        (
            *("score_threshold", "nms_overlap", "nms_by_class", "max_boxes", "labels"),
            *("label_classes", "class_names", "classes", "shown_score"),
        ),
    ),
    Group(
        "Registration",
        "Whether both images of a pair show the same place, and what becomes of those that don't.",
        ("registration", "registration_limit", "misaligned", "registration_by"),
    ),
    Group(
        "Training",
        "What is trained, on what, and how it is watched.",
        (
            *(
                "study",
                "evaluation",
                "preset",
                "steps",
                "epochs",
                "batch",
                "crop",
                "black",
                "optimiser",
            ),
            *("learning_rate", "schedule", "warmup", "weight_decay", "average", "clip", "seed"),
            *("start_from", "teacher", "versions", "validation", "validate_every"),
            *("checkpoint_every", "network", "mini", "loss"),
        ),
    ),
    Group(
        "Scenes and deep images",
        "How values of more than 8 bits and georeferenced scenes are read and written.",
        (
            *("scaling", "ir_range", "vi_range", "percentiles", "nodata", "stac"),
            *("resampling", "compression", "tile_size"),
        ),
    ),
    Group(
        "Clips",
        "How the frames of videos and sequences are matched, fused and written.",
        (
            *("video_codec", "video_quality", "steady", "frame_rate", "frame_clock"),
            *("frame_offset", "frame_tolerance", "unmatched_frames", "segment_frames"),
        ),
    ),
    Group(
        "Storage",
        "How the stores are reached.",
        ("credentials_block", "requester_pays", "storage_timeout"),
    ),
    Group(
        "Machines",
        "What the work may take of the machines.",
        (
            *("worker", "workers", "max_workers", "ray_address", "memory_mb", "max_megapixels"),
            *("batch_size", "chunk_pairs", "io_threads", "worker_patience"),
        ),
    ),
    Group(
        "Expectations",
        "What a night is expected to be, and what becomes of a run that isn't so.",
        ("min_pairs", "max_unpaired", "expect", "max_drift", "drift_nights", "unmet"),
    ),
    Group(
        "Run",
        "When a run fails, waits, or gives up.",
        (
            *("dry_run", "max_failed", "overlap", "run_deadline", "pair_deadline"),
            *("max_attempts", "retry_hours", "publish_seconds", "lease_seconds"),
        ),
    ),
    Group(
        "Watching",
        "How a run is watched from elsewhere: its logs and metrics.",
        ("log_format", "metrics_port", "metrics_address", "metrics_push"),
    ),
)
"""All groups, in the order in which they are shown; every setting is in one of them."""


def grouped(settings: type[BaseModel]) -> list[tuple[Group, tuple[str, ...]]]:
    """Return the groups that settings have fields of, each with the names of those, in order.

    Args:
        settings: The class of the settings.

    Raises:
        KeyError: A field is in no group.
    """
    fields = settings.model_fields
    found = [(group, tuple(name for name in group.fields if name in fields)) for group in GROUPS]
    known = {name for _, names in found for name in names}
    if missing := [name for name in fields if name not in known]:
        raise KeyError(f"the settings {missing} are in no group; add them to one of GROUPS")
    return [(group, names) for group, names in found if names]
