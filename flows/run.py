"""The parts that all flows over an archive share: identity, workers, rows, artifacts."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import pyarrow as pa
from prefect import get_run_logger
from prefect.context import FlowRunContext

from flows.credentials import StorageCredentials
from flows.night import name_flow_run
from flows.summaries.archive import ArchiveSummary, older_told, too_many_failed
from flows.watching.watch import Watch
from fusion_core import reports
from fusion_core.archive import RUNS_FOLDER, split_by_version
from fusion_core.errors import RunDeadlineError, TooManyFailuresError
from fusion_core.jobs import RunIdentity
from fusion_core.settings import RunSettings
from fusion_core.storage import Storage, open_source

Settings = TypeVar("Settings", bound=RunSettings)


@dataclass(frozen=True)
class Run(Generic[Settings]):
    """A run's settings, its identity, and its storage.

    Attributes:
        settings: The run's settings.
        identity: What all of its rows say of it.
        credentials: Called for the storage options to use now.
        began: When it began, by the monotonic clock.
        hashes_before: What its settings' hash was under earlier image versions.
        models_before: Hashes of the weights that its model's name stood for in earlier versions.
        watch: Tells those who watch it what happens.
    """

    settings: Settings
    identity: RunIdentity
    credentials: StorageCredentials
    began: float
    hashes_before: tuple[str, ...] = ()
    models_before: tuple[str, ...] = ()
    watch: Watch = field(default_factory=Watch, compare=False)

    @classmethod
    def begin(
        cls,
        settings: Settings,
        *,
        settings_hash: str,
        hashes_before: tuple[str, ...] = (),
        model_hash: str | None = None,
        models_before: tuple[str, ...] = (),
        watch: Watch | None = None,
    ) -> Run[Settings]:
        """Give a run its id and date, and the flow run in Prefect the run's id as its name.

        Args:
            settings: The run's settings.
            settings_hash: What its rows have as such.
            hashes_before: What rows of the same settings had under earlier image versions.
            model_hash: Likewise, where one model makes all of them.
            models_before: What rows had by the weights that its name stood for before, and that
                count as done.
            watch: Tells those who watch it what happens. Default: nobody does.
        """
        now = dt.datetime.now(dt.UTC)
        context = FlowRunContext.get()
        flow_run = context.flow_run.id if context and context.flow_run else uuid.uuid4()
        identity = RunIdentity(
            run_id=f"{now:%Y%m%dT%H%M%SZ}-{str(flow_run)[:8]}",
            date=settings.run_date(now),
            model_hash=model_hash,
            settings_hash=settings_hash,
        )
        name_flow_run(identity.run_id)
        watch = watch or Watch()
        watch.identified(settings, identity)
        credentials = StorageCredentials(settings.credentials_block)
        return cls(
            *(settings, identity, credentials, time.monotonic()),
            hashes_before=hashes_before,
            models_before=models_before,
            watch=watch,
        )

    @property
    def folder(self) -> str:
        """The folder below the output for the run's summary, tables and sheet."""
        return f"{RUNS_FOLDER}/{self.identity.run_id}"

    def source(self) -> Storage:
        """Return the archive's storage, whose credentials stay fresh."""
        return open_source(self.settings, self.credentials, self.settings.storage_timeout)

    def output(self) -> Storage:
        """Return the output's storage, whose credentials stay fresh."""
        return Storage(self.settings.output, self.credentials, self.settings.storage_timeout)

    def split(self, rows: pa.Table) -> tuple[pa.Table, pa.Table]:
        """Return the rows of its model and settings, and those of earlier versions.

        Args:
            rows: ``settings_hash``, ``status`` and, where it has a model, ``model_hash``.
        """
        return split_by_version(
            rows,
            self.identity.settings_hash,
            self.hashes_before,
            model_hash=self.identity.model_hash,
            models_before=self.models_before,
        )

    @property
    def ends_at(self) -> float | None:
        """The moment at which ``run_deadline`` is over, by the monotonic clock."""
        deadline = self.settings.run_deadline
        return None if deadline is None else self.began + deadline


def warn_of_late_pairs(settings: RunSettings) -> None:
    """Log that what comes in after the run is missed, where each run looks at another day."""
    if settings.prefix_has_date and settings.days == 1 and settings.date is None:
        get_run_logger().warning(
            "Only %r of today is looked at: the next run's prefix is another one, and finds "
            "nothing of what comes in there later. Leave days out to have it look back",
            settings.prefix,
        )


def warn_of_older(older: int) -> None:
    """Log how much rests on earlier versions, and how to renew it."""
    if older:
        get_run_logger().warning("%s", older_told(older))


def write_tables(
    run: Run[Any],
    output: Storage,
    comparison: reports.Comparison,
    published: Sequence[reports.PublishedRow] = (),
) -> tuple[str, dict[str, str]]:
    """Write the comparison table in all formats; return it in markdown, and the URLs by format."""
    return write_bodies(
        run,
        output,
        {
            "md": reports.markdown_table(comparison, published),
            "csv": reports.csv_table(comparison, published),
            "tex": reports.latex_table(comparison, published),
        },
    )


def write_bodies(
    run: Run[Any], output: Storage, bodies: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Write a run's table; return it in markdown, and the URLs by format.

    Args:
        run: The run.
        output: Its output.
        bodies: The table by extension, ``md`` among them.
    """
    for extension, body in bodies.items():
        output.write(f"{run.folder}/table.{extension}", body.encode())
    return bodies["md"], {kind: output.url(f"{run.folder}/table.{kind}") for kind in bodies}


def fail_past_limit(summary: ArchiveSummary, settings: RunSettings) -> None:
    """Fail a run that didn't reach its end, or whose pairs failed.

    The error starts with the summary's sentence: its text is all that the state in Prefect says.

    Raises:
        RunDeadlineError: Its deadline came first.
        TooManyFailuresError: More than the stated fraction failed.
    """
    if summary.unfinished:
        raise RunDeadlineError(
            f"{summary.sentence()} "
            f"The run_deadline of {settings.run_deadline:g} s passed with {summary.unfinished} of "
            f"{summary.unfinished + summary.worked} {summary.what} not begun; "
            "what was done is committed. The next run goes on; give it more time or more workers"
        )
    if summary.failed_fraction > settings.max_failed:
        raise TooManyFailuresError(
            f"{summary.sentence()} {too_many_failed(summary, settings.max_failed)}"
        )
