"""The commands of an operator's desk: how an output stands, what failed, and trying it again."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from flows.commandline.command import Command, OfOutput, Told
from flows.commandline.options import POSITIONAL

_PAIRS: dict[str, Any] = {POSITIONAL: True}


class Runs(OfOutput):
    """What runs can be told."""

    last: int = Field(20, ge=1, description="So many runs, the newest first.")


class Failures(OfOutput):
    """What failures can be told."""

    run: str | None = Field(
        None, description="Only what this run tried: its id, or last. Default: all runs."
    )
    last_days: float | None = Field(
        None, gt=0, description="Only attempts of so many days. Default: all."
    )


class Show(OfOutput):
    """What show can be told."""

    pair: tuple[str, ...] = Field(
        min_length=1, max_length=1, json_schema_extra=_PAIRS, description="The pair's id."
    )


class Retry(OfOutput):
    """What retry can be told; what isn't given is as the last run had it."""

    pairs: tuple[str, ...] = Field(
        min_length=1, json_schema_extra=_PAIRS, description="Ids of the pairs."
    )
    reprocess: Literal["failed", "all"] = Field(
        "failed", description="failed: pairs that are done stay so; all: they are fused again too."
    )
    source: str | None = Field(None, description="Where the pairs lie now. Default: as before.")
    worker: str | None = Field(
        None, description="What one worker takes, as for run. Default: as before."
    )
    ray_address: str | None = Field(
        None, description="Ray cluster to run on, as for run. Default: a local one."
    )
    dry_run: bool = Field(False, description="Only print what would be done.")


def status(given: OfOutput) -> tuple[Told, int]:
    """Say how an output stands."""
    from flows.desk.status import status

    return status(given.output, given.credentials_block), 0


def runs(given: Runs) -> tuple[Told, int]:
    """List past runs."""
    from flows.desk.runs import runs

    return runs(given.output, given.credentials_block, last=given.last), 0


def failures(given: Failures) -> tuple[Told, int]:
    """List what failed."""
    from flows.desk.failures import failures

    found = failures(
        given.output, given.credentials_block, run=given.run, last_days=given.last_days
    )
    return found, 0


def show(given: Show) -> tuple[Told, int]:
    """Tell all of one pair."""
    from flows.desk.show import show

    return show(given.output, given.pair[0], given.credentials_block), 0


def retry(given: Retry) -> tuple[Told, int]:
    """Try pairs again."""
    from flows.commandline.work import RUN
    from flows.desk.retry import retry

    changes = {
        name: getattr(given, name)
        for name in ("reprocess", "source", "worker", "ray_address", "dry_run")
        if getattr(given, name) is not None
    }
    settings = retry(given.output, given.pairs, given.credentials_block, **changes)
    return RUN.act(settings)


DESK = (
    Command("status", "Tell what is at work in an output, and how it stands.", OfOutput, status),
    Command("runs", "List the last runs, and what they were asked for otherwise.", Runs, runs),
    Command("failures", "List what failed or is undone, and why.", Failures, failures),
    Command("show", "Tell all that there is of one pair.", Show, show),
    Command("retry", "Try pairs again by the settings of the last run.", Retry, retry),
)
