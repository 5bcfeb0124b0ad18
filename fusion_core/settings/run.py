"""The settings of runs over an archive: those that all share, and those of fusing and scoring."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fusion_core.settings.dates import DateSettings
from fusion_core.settings.expectations import ExpectationSettings
from fusion_core.settings.form import arrange, one_of
from fusion_core.settings.secrets import NO_SECRET, refuse_secret
from fusion_core.settings.watching import WatchingSettings

_WORKER = r"auto|cpu|gpu|cpu:[0-9]+|gpu:(0?\.[0-9]+|1|1\.0)"
_WORKERS = ("auto", "gpu", "gpu:0.5", "cpu", "cpu:4")

MAX_ATTEMPTS = 8
"""Attempts at a pair without a verdict, unless a setting says otherwise."""

_ON_S3 = ("s3://", "s3a://")
_WITH_PAYER = ("s3://", "s3a://", "gs://", "gcs://")


class PairSettings(BaseModel):
    """The settings that decide the pixels of a loaded pair."""

    # Without the input, an error about a URL with a password in it can't quote the password.
    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, json_schema_extra=arrange
    )

    size_mismatch: Literal["error", "resize_ir"] = Field(
        "error",
        description="Infrared and visible image of different size: fail the pair, or resize the "
        "infrared one (bicubic) to the visible one.",
    )


class ArchiveSettings(PairSettings, DateSettings):
    """Which pairs are read, where results go, and how much of the machines is used."""

    source: str = Field(
        json_schema_extra=NO_SECRET,
        description="Folder or bucket that holds the pairs: any fsspec URL, such as "
        "s3://archive/2026 or a local path.",
    )
    output: str = Field(
        json_schema_extra=NO_SECRET,
        description="Folder or bucket for the fused images and the manifest: any fsspec URL.",
    )
    ir: str = Field(
        "ir/{pair}.png",
        description="Template of the infrared images' paths below the source. {name} stands for "
        "a part of a file or folder name, {name:path} may cross folders, {name:frame} numbers the "
        "frames of a sequence, * matches anything within a name.",
    )
    vi: str = Field(
        "vi/{pair}.png",
        description="Template of the visible images' paths, with the same fields as the infrared "
        "one.",
    )
    index: str | None = Field(
        None,
        json_schema_extra=NO_SECRET,
        description="CSV or Parquet file with the columns pair_id, ir and vi (paths below the "
        "source, alone or with its URL in front), used instead of the templates: any fsspec URL.",
    )
    inventory: str | None = Field(
        None,
        json_schema_extra=NO_SECRET,
        description="What is read instead of listing the source: the manifest.json of an S3 "
        "Inventory of its bucket, or a Parquet file or folder with the columns path, bytes and "
        "version: any fsspec URL.",
    )
    identity: Literal["etag", "version", "checksum"] = Field(
        "etag",
        description="What a file is known by, and so found changed: its ETag (size and time where "
        "the store has none), the version id that the store gave it, or a checksum. A checksum "
        "costs a request for every file that is listed, every night; local files are read whole.",
    )
    worker: str = Field(
        "auto",
        json_schema_extra=one_of(_WORKER, *_WORKERS),
        description="What one worker takes: 'auto' (a GPU where the cluster shows one, else 2 "
        "CPUs), 'gpu', a share of one such as 'gpu:0.5', 'cpu', or a number of CPUs such as "
        "'cpu:4'.",
    )
    ray_address: str | None = Field(
        None,
        description="Ray cluster to run on, 'auto' or host:port of its head, if this machine is a "
        "node of it. Default: a local one for this run.",
    )
    io_threads: int = Field(
        8, ge=1, le=256, description="Threads per worker that read, decode, encode and write."
    )
    max_megapixels: float = Field(
        100.0, gt=0, le=178.0, description="Larger images are refused before they are decoded."
    )
    credentials_block: str | None = Field(
        None,
        description="Name of a Prefect Secret block whose value is a JSON object of fsspec "
        "storage options (such as key, secret, token, endpoint_url). Default: the usual AWS chain.",
    )
    requester_pays: bool = Field(
        False,
        description="The source is a requester-pays bucket of S3 or Google Cloud: its requests and "
        "downloads are charged to the run's account.",
    )

    @field_validator("source", "output", "index", "inventory")
    @classmethod
    def _no_secret_in_url(cls, url: str | None) -> str | None:
        return url if url is None else refuse_secret(url)

    @field_validator("worker")
    @classmethod
    def _worker_is_known(cls, worker: str) -> str:
        return check_worker(worker, _WORKER, _WORKERS)

    @field_validator("source", "output")
    @classmethod
    def _not_empty(cls, url: str) -> str:
        if not url.strip():
            raise ValueError("found an empty URL; expected a folder or bucket such as s3://archive")
        return url

    @model_validator(mode="after")
    def _inventory_tells_identity(self) -> Self:
        of_s3 = self.inventory is not None and self.inventory.endswith("manifest.json")
        if of_s3 and not self.source.startswith(_ON_S3):
            raise ValueError(
                f"the inventory {self.inventory} is one of S3 and the source is {self.source}; "
                "expected a bucket (s3://…). Give a Parquet listing, or leave inventory out"
            )
        if of_s3 and self.identity == "checksum":
            raise ValueError(
                "the identity is checksum, and an S3 Inventory tells none; expected etag or "
                "version. Leave identity or inventory out"
            )
        return self

    @model_validator(mode="after")
    def _payer_can_be_told(self) -> Self:
        if self.requester_pays and not self.source.startswith(_WITH_PAYER):
            raise ValueError(
                f"requester_pays is set and the source is {self.source}; expected a bucket of S3 "
                "or Google Cloud (s3://…, gs://…). Leave requester_pays out"
            )
        return self


class RunSettings(WatchingSettings, ArchiveSettings, ExpectationSettings):
    """How a run that fuses or scores divides its work, and what it skips or gives up."""

    reprocess: Literal["none", "failed", "older", "all"] = Field(
        "none",
        description="none: pairs without a successful row, except those that failed for good and "
        "those whose next attempt isn't due yet; failed: those too; older: as none, and also pairs "
        "whose image an earlier version or the model's earlier weights made; all: every pair "
        "again.",
    )
    limit: int | None = Field(None, ge=1, description="Fuse at most so many pairs in this run.")
    max_workers: int | None = Field(
        None, ge=1, description="At most so many workers. Default: as many as fit the cluster."
    )
    chunk_pairs: int = Field(
        32, ge=1, le=10_000, description="Pairs per chunk, the unit of work, retry and commit."
    )
    storage_timeout: float = Field(
        120.0,
        gt=0,
        description="Seconds that a call to the source's or output's store is repeated for while "
        "it fails for a passing reason. A store that gives no answer for longer ends the run.",
    )
    overlap: Literal["wait", "skip"] = Field(
        "wait",
        # Prefect checks the parameters of old deployments by this schema before it hands them over.
        json_schema_extra={"enum": ["wait", "skip", "leave"]},
        description="Where another run is at work on the same output: wait until it ends, or skip "
        "this run and end well.",
    )
    lease_seconds: float = Field(
        60.0,
        ge=1.0,
        description="A run that gives no sign of life for so long is taken for dead by the others, "
        "which then take its output over.",
    )
    publish_seconds: float = Field(
        300.0,
        ge=0.1,
        description="A committed row can be read in the manifest after so many seconds at the "
        "latest, and when the run ends.",
    )
    run_deadline: float | None = Field(
        None,
        gt=0,
        description="Seconds after which the run stops, with what it has committed; the next run "
        "goes on. Default: none.",
    )
    memory_mb: int = Field(
        1024,
        ge=16,
        description="Bound on the pixels and files that one worker holds, in MiB; a pair larger "
        "than that is worked on alone.",
    )
    pair_deadline: float = Field(
        1800.0,
        gt=0,
        description="A pair of photographs that takes longer than this many seconds fails; a scene "
        "may take as long for every 100 megapixels begun.",
    )
    max_attempts: int = Field(
        MAX_ATTEMPTS,
        ge=1,
        le=1000,
        description="A pair that a worker, a GPU, memory, time or the store kept from being done "
        "is tried again, in this run and later ones; after so many attempts it counts as failed.",
    )
    retry_hours: float = Field(
        12.0,
        ge=0,
        description="Hours by which the distance between runs that try such a pair again grows: "
        "the next run does so at once, then one only after so many hours, then three, seven … "
        "times as many.",
    )
    worker_patience: float = Field(
        600.0,
        gt=0,
        description="Seconds that a run waits for a worker, such as for a cluster to grow, while "
        "it has none.",
    )
    report: bool = Field(
        True,
        description="Write the run's report.html, and index.html with all runs of the output.",
    )
    max_failed: float = Field(
        0.1,
        ge=0,
        le=1,
        description="The run fails when more than this fraction of its pairs failed or is undone.",
    )

    @field_validator("overlap", mode="before")
    @classmethod
    def _leave_is_skip(cls, overlap: object) -> object:
        """Take the word that version 0.1.0 had for skip."""
        if overlap != "leave":
            return overlap
        # A FutureWarning is shown by default; a DeprecationWarning is not, outside of tests.
        warnings.warn(
            "overlap: 'leave' is called 'skip' now, and will be refused one day; write 'skip'",
            FutureWarning,
            stacklevel=3,
        )
        return "skip"


def check_worker(worker: str, pattern: str, examples: Sequence[str]) -> str:
    """Return what one worker takes, unless it can't be told what that means.

    Args:
        worker: What was given.
        pattern: Regular expression of what is known.
        examples: Of what is known, for the error.

    Raises:
        ValueError: It isn't known.
    """
    if not re.fullmatch(pattern, worker):
        *most, last = examples
        raise ValueError(f"found {worker!r}; expected {', '.join(most)} or {last}")
    return worker
