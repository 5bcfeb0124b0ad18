"""The settings of a training: its pairs and output, the recipe, and when it saves and validates."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from fusion_core.settings.form import one_of
from fusion_core.settings.run import ArchiveSettings, check_worker
from fusion_core.settings.secrets import NO_SECRET, refuse_secret
from fusion_core.training.recipe import Recipe

_WORKER = r"auto|cpu|gpu|cpu:[0-9]+|gpu:1|gpu:1\.0"
_WORKERS = ("auto", "gpu", "cpu", "cpu:4")

VERSIONS = 2
"""Versions of a pair that a teacher fuses, where their number isn't given."""


class TrainSettings(ArchiveSettings, Recipe):
    """The settings of a training."""

    output: str = Field(
        json_schema_extra=NO_SECRET,
        description="Folder or bucket of this training alone, for weights, checkpoint, log and "
        "curve: any fsspec URL. A training that was stopped goes on from what lies there.",
    )
    worker: str = Field(
        "auto",
        json_schema_extra=one_of(_WORKER, *_WORKERS),
        description="What one worker takes: 'auto' (a GPU where the cluster shows one, else all "
        "CPUs shared among the workers), 'gpu', 'cpu', or a number of CPUs such as 'cpu:4'.",
    )
    workers: int | None = Field(
        None,
        ge=1,
        description="Number of workers, which share each batch; it must divide it. How many they "
        "are changes the result by rounding only, but for the loss's fidelity term, which is no "
        "mean over crops. Default: one per GPU, or one that computes on CPUs.",
    )
    io_threads: int = Field(8, ge=1, le=256, description="Threads per worker that read pairs.")
    memory_mb: int = Field(
        2048,
        ge=1,
        description="Bound on the decoded pairs that one worker holds, in MiB. What is just being "
        "decoded comes on top, as many pairs as it has threads for files.",
    )
    max_failed: float = Field(
        0.5,
        ge=0,
        le=1,
        description="A pair whose files can't be used is left out and named. The training fails "
        "when more than this fraction of the pairs read so far, of at least 64, is left out.",
    )
    lease_seconds: float = Field(
        60.0,
        ge=1.0,
        description="A training that gives no sign of life for so long is taken for dead by the "
        "others, which then take its output over.",
    )
    validation: int | str = Field(
        0,
        description="Pairs kept apart for validation: a number of them, of whole sequences (pairs "
        "of a folder whose names differ in the number at their end), spread evenly over all, or "
        "the fsspec URL of a text file with a pair id per line.",
    )
    checkpoint_every: int = Field(
        100, ge=1, description="Steps between checkpoints, each with a record in the log."
    )
    validate_every: int = Field(500, ge=1, description="Steps between validations.")
    start_from: str | None = Field(
        None,
        description="Weights to start from instead of random ones, 'refinefuse' for the "
        "packaged ones or the fsspec URL of a safetensors file (read by the usual AWS chain). "
        "Their network must be the recipe's, but for its stretch.",
    )

    teacher: str | None = Field(
        None,
        description="Method that the network is to learn from, as `--model` of run takes it, such "
        "as refinefuse. It fuses whole pairs, and being like it replaces the loss.",
    )
    versions: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Versions of each pair that the teacher fuses: the pair as it is, and others "
        f"shrunk and with less contrast. Default, with a teacher: {VERSIONS}.",
    )

    @field_validator("worker")
    @classmethod
    def _worker_is_known(cls, worker: str) -> str:
        return check_worker(worker, _WORKER, _WORKERS)

    @field_validator("validation", mode="before")
    @classmethod
    def _number_or_url(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.strip().isdigit() else value

    @field_validator("validation")
    @classmethod
    def _not_negative(cls, value: int | str) -> int | str:
        if isinstance(value, int) and value < 0:
            raise ValueError(f"found {value}; expected a number of pairs from 0 up, or a URL")
        return value if isinstance(value, int) else refuse_secret(value)

    @field_validator("start_from", "teacher")
    @classmethod
    def _no_secret_in_model(cls, url: str | None) -> str | None:
        return url if url is None else refuse_secret(url)

    @model_validator(mode="after")
    def _versions_have_a_teacher(self) -> TrainSettings:
        if self.versions is not None and self.teacher is None:
            raise ValueError(
                f"versions is {self.versions} and there is no teacher to fuse them; name one by "
                "teacher or leave versions out"
            )
        return self

    def recipe(self) -> Recipe:
        """Return the part of the settings that decides the weights."""
        return Recipe(**{name: getattr(self, name) for name in Recipe.model_fields})
