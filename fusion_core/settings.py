"""The settings of a run: one frozen, validated object (decision 8 of the design).

The flow's parameter form, the command line and the manifest's settings hash are all made from
:class:`FuseArchiveSettings`; a setting exists in one place only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from fusion_core.metrics import METRIC_VERSION

IMAGE_VERSION = 1
"""Raised whenever the same settings and weights would give other pixels, so that resuming never
mixes two generations of images."""

ImageFormat = Literal["png", "jpeg", "webp", "tiff"]


class ImageSettings(BaseModel):
    """What decides the pixels and bytes of a fused image, given its pair and the weights."""

    # Without the input, an error about a URL with a password in it can't quote the password.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    format: ImageFormat = Field(
        "png", description="File format of the fused images. png and tiff are lossless."
    )
    quality: int = Field(95, ge=1, le=100, description="Quality of jpeg and webp files, 1 to 100.")
    png_level: int = Field(
        1, ge=0, le=9, description="zlib level of png files; 1 encodes twice as fast as 6."
    )
    size_mismatch: Literal["error", "resize_ir"] = Field(
        "error",
        description="Infrared and visible image of different size: fail the pair, or resize the "
        "infrared one (bicubic) to the visible one.",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto",
        description="Arithmetic of the network's body. auto takes bf16 where the device has it.",
    )

    def settings_hash(self) -> str:
        """Return 16 hex digits that change whenever other pixels, bytes or scores may result."""
        body = self.model_dump() | {"image": IMAGE_VERSION, "metrics": METRIC_VERSION}
        # JSON with sorted keys, because the digest must not depend on the order of the fields.
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]


class FuseArchiveSettings(ImageSettings):
    """Everything that a fuse-archive run can be told."""

    source: str = Field(
        description="Folder or bucket that holds the pairs: any fsspec URL, such as "
        "s3://archive/2026 or a local path.",
    )
    output: str = Field(
        description="Folder or bucket for the fused images and the manifest: any fsspec URL.",
    )
    ir: str = Field(
        "ir/{pair}.png",
        description="Template of the infrared images' paths below the source. {name} stands for "
        "a part of a file or folder name, {name:path} may cross folders, * matches anything "
        "within a name.",
    )
    vi: str = Field(
        "vi/{pair}.png",
        description="Template of the visible images' paths, with the same fields as the infrared "
        "one.",
    )
    index: str | None = Field(
        None,
        description="CSV or Parquet file with the columns pair_id, ir and vi (paths below the "
        "source), used instead of the templates: any fsspec URL.",
    )
    prefix: str = Field(
        "",
        description="Only paths below the source that start with this are looked at. It may hold "
        "the run's date: {date:%Y/%m/%d}.",
    )
    date: dt.date | None = Field(
        None, description="The run's date, for prefix and manifest. Default: today in UTC."
    )
    reprocess: Literal["none", "failed", "all"] = Field(
        "none",
        description="none: pairs without a successful row, except those that failed for a reason "
        "in the files themselves; failed: those too; all: every pair again.",
    )
    limit: int | None = Field(None, ge=1, description="Fuse at most so many pairs in this run.")
    dry_run: bool = Field(
        False, description="Only print what would be done, how many bytes, and about how long."
    )
    weights: str = Field(
        "default",
        description="Weights of the network: 'default' for the packaged ones, or the fsspec URL "
        "of a safetensors file (read by the usual AWS chain).",
    )
    weights_sha256: str | None = Field(
        None, description="Expected sha256 of the weights file; another one stops the run."
    )
    worker: str = Field(
        "auto",
        pattern=r"^(auto|cpu|gpu|cpu:[0-9]+|gpu:(0?\.[0-9]+|1|1\.0))$",
        description="What one worker takes: 'auto' (a GPU where the cluster shows one, else 2 "
        "CPUs), 'gpu', a share of one such as 'gpu:0.5', 'cpu', or a number of CPUs such as "
        "'cpu:4'.",
    )
    max_workers: int | None = Field(
        None, ge=1, description="At most so many workers. Default: as many as fit the cluster."
    )
    ray_address: str | None = Field(
        None,
        description="Ray cluster to run on, 'auto' or host:port of its head, if this machine is a "
        "node of it. Default: a local one for this run.",
    )
    chunk_pairs: int = Field(
        32, ge=1, le=10_000, description="Pairs per chunk, the unit of work, retry and commit."
    )
    batch_size: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="At most so many pairs of equal shape in one batch. Default: 8 on a GPU, 1 on "
        "a CPU.",
    )
    io_threads: int = Field(
        8, ge=1, le=256, description="Threads per worker that read, decode, encode and write."
    )
    memory_mb: int = Field(
        1024,
        ge=16,
        description="Bound on the pixels and files that one worker holds, in MiB; a pair larger "
        "than that is worked on alone.",
    )
    max_megapixels: float = Field(
        100.0, gt=0, le=178.0, description="Larger images are refused before they are decoded."
    )
    max_failed: float = Field(
        0.1,
        ge=0,
        le=1,
        description="The run fails when more than this fraction of its pairs failed.",
    )
    contact_sheet: int = Field(
        8, ge=0, le=64, description="Pairs drawn on the run's contact sheet; 0 draws none."
    )
    credentials_block: str | None = Field(
        None,
        description="Name of a Prefect Secret block whose value is a JSON object of fsspec "
        "storage options (such as key, secret, token, endpoint_url). Default: the usual AWS chain.",
    )

    @field_validator("source", "output", "index", "weights")
    @classmethod
    def _no_secret_in_url(cls, url: str | None) -> str | None:
        # An AWS secret may hold slashes, so the @ is looked for beyond them too.
        if url is not None and re.search(r"://(?!arn:)[^/\[\]]*:(?!\d*(/|$)).*@", url):
            raise ValueError(
                "the URL holds a user name and password; expected a plain URL. Give credentials "
                "by the AWS chain (environment, profile, instance role) or by credentials_block"
            )
        return url

    @field_validator("source", "output")
    @classmethod
    def _not_empty(cls, url: str) -> str:
        if not url.strip():
            raise ValueError("found an empty URL; expected a folder or bucket such as s3://archive")
        return url

    @field_validator("prefix")
    @classmethod
    def _prefix_expands(cls, prefix: str) -> str:
        try:
            prefix.format(date=dt.date(2000, 1, 1))
        except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{prefix!r} can't be expanded ({error!r}); the only field it may hold is the "
                "date, such as {date:%Y/%m/%d}"
            ) from error
        return prefix

    def image_settings(self) -> ImageSettings:
        """Return the part that decides the fused images, which is also what is hashed."""
        return ImageSettings(**{name: getattr(self, name) for name in ImageSettings.model_fields})

    def expanded_prefix(self, date: dt.date) -> str:
        """Return ``prefix`` with the run's date filled in."""
        return self.prefix.format(date=date)
