"""The commands that keep house in an output: check it, clean it, make its index anew."""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from flows.credentials import StorageCredentials
from flows.summaries.housekeeping import Housekeeping, Section
from flows.summaries.listings import plain
from fusion_core.archive import (
    JOURNAL,
    RUNS_FOLDER,
    SUPERSEDED_JOURNAL,
    TABLES,
    CleanPlan,
    Finding,
    Lease,
    Publisher,
    Search,
    acquire,
    begun_before,
    check,
    clean,
    differences,
    finish_superseded,
    forget,
    newest_number,
    plan_clean,
    rebuild,
    search_for,
    superseding_since,
    take_superseded_out,
)
from fusion_core.errors import ManifestError, SettingsError, UnreachableError
from fusion_core.scenes import catalogs_from, rewrite_catalogs, unreadable_roots
from fusion_core.storage import Storage, scratch_folder

_SECONDS = 60.0  # without a sign of life, after which others take over
_MOST_LEFT = 100
_FIRST_ROWS = 10


def check_output(url: str, block: str | None, *, deep: bool) -> Housekeeping:
    """Look for all that must not be in an output.

    Args:
        url: The output's.
        block: Name of the Secret block with its storage options.
        deep: Read every image too.

    Returns:
        What was found; all is well where nothing was.

    Raises:
        SettingsError: There is nothing at the URL.
        FuseArchiveError: The store failed, or the credentials can't be had.
    """
    output = _storage(url, block)()
    _require_an_output(output)
    with scratch_folder() as folder:
        found = check(output, folder, deep=deep, tell=_tell)
        _tell("comparing the index with the manifest")
        found += _index_differs(output, folder)
    found += _left_undone(output)
    return Housekeeping(
        title=f"What is wrong with {plain(url)}",
        output=url,
        sections=tuple(
            Section(kind=one.kind, count=one.count, first=tuple(one.first)) for one in found
        ),
        well=not found,
    )


def rebuild_index(url: str, block: str | None) -> Housekeeping:
    """Make the index of an output anew, under its lease; return what it holds.

    Raises:
        OutputBusyError: A run is at work on it.
        FuseArchiveError: A file can't be read, or the store failed.
    """
    connect = _storage(url, block)
    notes = []
    with scratch_folder() as folder, _held(connect, "index") as lease:
        for table in TABLES:
            state = rebuild(connect(), table, folder, lease.generation)
            notes.append(f"- {table}: {state.rows} rows in {len(state.shards)} shards")
    title = f"The index of {plain(url)} was made anew"
    return Housekeeping(title=title, output=url, notes=tuple(notes))


def clean_output(
    url: str, block: str | None, *, kinds: Sequence[str], days: float, really: bool
) -> Housekeeping:
    """Tell what may go from an output, and remove it if it is really wanted.

    Args:
        url: The output's.
        block: Name of the Secret block with its storage options.
        kinds: What to look at; empty for what nobody needs.
        days: Folders of runs, and commits, stay for so long, and images since they were
            superseded.
        really: Whether to remove it.

    Returns:
        What may go, or went.

    Raises:
        OutputBusyError: A run is at work on it.
        FuseArchiveError: Something can't be read, or removed, or the store failed.
    """
    connect = _storage(url, block)

    def plan(folder: Path, settled: int = 0) -> CleanPlan:
        return plan_clean(
            output := connect(),
            folder,
            kinds=kinds,
            days=days,
            now=dt.datetime.now(dt.UTC),
            settled=settled,
            needed_from=catalogs_from(output),
            tell=_tell,
        )

    with scratch_folder() as folder:
        if not really:
            return _planned(url, plan(folder), "may go; `--yes` removes it")
        with _held(connect, "clean") as lease:
            if begun_before(connect()):
                _tell("going on with what was to be forgotten")
                forget(connect(), (), folder, lease, rewrite_catalogs, _tell)
            finish_superseded(connect(), folder, lease, rewrite_catalogs, _tell)
            planned = plan(folder, lease.generation - 1)
            take_superseded_out(connect(), planned, folder, lease, rewrite_catalogs, _tell)
            clean(connect(), planned, lease.confirm, _tell)
        return _planned(url, planned, "is removed")


def forget_pairs(
    url: str, block: str | None, pair_ids: Collection[str], *, really: bool
) -> Housekeeping:
    """Remove all that an output holds of pairs, if it is really wanted, and search it for them.

    Args:
        url: The output's.
        block: Name of the Secret block with its storage options.
        pair_ids: Ids of the pairs.
        really: Whether to remove it.

    Returns:
        What was looked at and what names the pairs; all is well where they are gone, or are only
        looked for.

    Raises:
        OutputBusyError: A run is at work on it.
        FuseArchiveError: Something can't be read, or removed, or the store failed.
    """
    connect = _storage(url, block)
    with scratch_folder() as folder:
        if not really:
            found = search_for(connect(), folder, pair_ids, _tell)
            return _searched(url, found, "name the pairs; `--yes` removes that", well=True)
        with _held(connect, "forget") as lease:
            found = forget(connect(), pair_ids, folder, lease, rewrite_catalogs, _tell)
    return _searched(url, found, "still name the pairs", well=not found.left)


def read_pairs(text: str) -> tuple[str, ...]:
    """Return the pair ids of ``--forget``: a list with commas, or @FILE with one on each line.

    Raises:
        SettingsError: The file can't be read, or there is no id.
    """
    try:
        file = Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"--forget: {text[1:]} can't be read: {error}; expected a text file with a pair id "
            "on each line"
        ) from error
    ids = text.split(",") if file is None else file.splitlines()
    found = tuple(dict.fromkeys(one.strip() for one in ids if one.strip()))
    if not found:
        raise SettingsError(f"--forget: found no pair id in {text!r}; expected at least one")
    return found


@contextmanager
def _held(connect: Callable[[], Storage], what: str) -> Iterator[Lease]:
    """Hold an output's lease, with all that dead runs left open closed and published.

    Raises:
        SettingsError: There is no output.
        OutputBusyError: A living run is at work on it.
    """
    _require_an_output(connect())
    run_id = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{what}-{uuid.uuid4().hex[:8]}"
    exclusive = connect().check_exclusive(RUNS_FOLDER)
    lease = acquire(connect, run_id, seconds=_SECONDS, wait=False, exclusive=exclusive)
    publisher = Publisher(connect, lease)
    try:
        publisher.take_over()
        yield lease
        publisher.finish()
    except UnreachableError:
        lease.abandon()  # there is nobody to give it back to
        raise
    except BaseException:
        lease.release()
        raise
    lease.release()


def _require_an_output(output: Storage) -> None:
    if not any(len(batch) for batch in output.list_batches()):
        raise SettingsError(
            f"there is nothing below {output.url('').rstrip('/')}; expected an output of runs. "
            "Check the URL"
        )


def _storage(url: str, block: str | None) -> Callable[[], Storage]:
    credentials = StorageCredentials(block)
    return lambda: Storage(url, credentials)


def _index_differs(output: Storage, folder: Path) -> list[Finding]:
    found: list[str] = []
    count = 0
    for table in TABLES:
        try:
            if not newest_number(output, table):
                continue
            told = differences(output, table, folder)
        except ManifestError as error:
            found, count = [*found, str(error)], count + 1
            continue
        count += told.missing + told.superfluous
        found += [f"{table}: a row of {one} is missing" for one in told.first_missing]
        found += [f"{table}: a row of {one} is in no file" for one in told.first_superfluous]
    kind = "index differs from the manifest"
    return [Finding(kind, count, tuple(found))] if count else []


def _left_undone(output: Storage) -> list[Finding]:
    found = []
    if roots := unreadable_roots(output):
        found.append(Finding("catalogue unreadable", len(roots), tuple(roots)))
    if begun := begun_before(output):
        text = f"{JOURNAL}: {len(begun)} pairs; `fuse-archive clean --yes` goes on with it"
        found.append(Finding("pairs half forgotten", len(begun), (text,)))
    if before := superseding_since(output):
        text = (
            f"{SUPERSEDED_JOURNAL}: {before:%Y-%m-%d}; `fuse-archive clean --yes` goes on with it"
        )
        found.append(Finding("superseded half removed", 1, (text,)))
    return found


def _planned(url: str, plan: CleanPlan, what: str) -> Housekeeping:
    sections = [
        Section(kind=one.kind, count=one.count, bytes=one.bytes, first=tuple(one.first))
        for one in plan.removals
    ]
    if rows := plan.superseded:
        first = tuple(
            f"{row['pair_id']}: attempt {row['attempt'] or 0} of {row['run_id']}, in {row['file']}"
            for row in rows.head(_FIRST_ROWS).to_pylist()
        )
        sections.append(Section(kind="rows of superseded images", count=len(rows), first=first))
    title = f"What {what}, of {plain(url)}"
    return Housekeeping(title=title, output=url, sections=tuple(sections))


def _searched(url: str, found: Search, what: str, *, well: bool) -> Housekeeping:
    looked_at = [f"- {plain(kind)}: {count}" for kind, count in found.looked_at.items()]
    return Housekeeping(
        title=f"{len(found.left)} objects of {plain(url)} {what}",
        output=url,
        sections=(Section(kind="", count=len(found.left), first=tuple(found.left[:_MOST_LEFT])),),
        notes=("Paths and texts of these were looked at, of pictures the paths:", "", *looked_at),
        well=well,
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
