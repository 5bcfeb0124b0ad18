"""Takes the rows of superseded images out of an output, so that the images may go.

What was begun is noted in a journal, so that whoever cleans next finishes what was killed. Images
go last: at every moment all that a row names is there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from fusion_core.archive.keeping.clean import CleanPlan, clean, plan_clean, remove_all
from fusion_core.archive.keeping.disposable import SUPERSEDED
from fusion_core.archive.keeping.rows_out import Goes, rebuild_indexes, take_rows_out
from fusion_core.archive.layout import COMMITS_FOLDER, MANIFEST_FOLDER
from fusion_core.archive.lease import Lease
from fusion_core.archive.parts import read_part
from fusion_core.archive.spill import engine, show
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

SUPERSEDED_JOURNAL = f"{COMMITS_FOLDER}/superseded.json"

_HELD = ("pair_id", "method", "attempt", "run_id", "ended", "status", "fused_version")
_PLACES = """
    SELECT place FROM held SEMI JOIN (SELECT * FROM read_parquet(?) WHERE file = ?) AS going
    ON held.pair_id = going.pair_id AND held.method = going.method AND held.ended = going.ended
        AND held.run_id = going.run_id AND held.attempt IS NOT DISTINCT FROM going.attempt
    WHERE status = 'ok' AND fused_version IS NULL"""


class _Journal(BaseModel):
    model_config = ConfigDict(frozen=True)

    before: AwareDatetime


def superseding_since(output: Storage) -> dt.datetime | None:
    """Return the ``before`` of a removal that was begun and not finished; None without any.

    Raises:
        ManifestError: The journal can't be read.
        StorageError: The store failed.
    """
    try:
        return _Journal.model_validate_json(output.read(SUPERSEDED_JOURNAL)).before
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise ManifestError(
            f"{output.url(SUPERSEDED_JOURNAL)} can't be read: {error}. Expected the time before "
            "which rows were superseded that are being removed; remove the file, and clean again "
            "with the kind superseded"
        ) from error


def take_superseded_out(
    output: Storage,
    plan: CleanPlan,
    folder: Path,
    lease: Lease,
    rewrite_catalogs: Callable[[Storage], None],
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Take the superseded rows of a plan out of all that people and runs read.

    Args:
        output: The output.
        plan: What was found after the lease was taken; ``clean`` removes its images next.
        folder: A scratch folder.
        lease: The output's, under which all earlier runs were closed.
        rewrite_catalogs: Writes the output's catalogues of scenes anew from its rows.
        tell: Is told how far it is.

    Raises:
        ManifestError: A file or a record can't be read.
        LeaseLostError: Another run has taken over.
        StorageError: The store failed, or refuses to remove.
    """
    if not len(plan.superseded):
        return
    body = _Journal(before=plan.before).model_dump_json().encode()
    if not output.create(SUPERSEDED_JOURNAL, body):
        output.write(SUPERSEDED_JOURNAL, body)
    _take_out(output, plan, folder, lease, rewrite_catalogs, tell)


def finish_superseded(
    output: Storage,
    folder: Path,
    lease: Lease,
    rewrite_catalogs: Callable[[Storage], None],
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Go on with a removal of superseded rows that was killed, if there is any, to its end.

    Arguments and errors are those of ``take_superseded_out``. Images whose rows are gone already
    are left to the kind ``images``.
    """
    before = superseding_since(output)
    if before is None:
        return
    tell("going on with the removal of what was superseded")
    plan = plan_clean(output, folder, kinds=[SUPERSEDED], days=0, now=before, tell=tell)
    _take_out(output, plan, folder, lease, rewrite_catalogs, tell)
    clean(output, plan, lease.confirm, tell)


def _take_out(
    output: Storage,
    plan: CleanPlan,
    folder: Path,
    lease: Lease,
    rewrite_catalogs: Callable[[Storage], None],
    tell: Callable[[str], None],
) -> None:
    tell("removing superseded rows")
    with engine(folder) as connection:
        goes = _going(output, plan, connection)
        count = take_rows_out(output, plan.found, goes, lease.confirm)
    tell(f"{count} files of rows written anew; now the index and the catalogues")
    rebuild_indexes(output, [MANIFEST_FOLDER], folder, lease)
    lease.confirm()
    rewrite_catalogs(output)
    remove_all(output, [SUPERSEDED_JOURNAL], lease.confirm)


def _going(output: Storage, plan: CleanPlan, connection: duckdb.DuckDBPyConnection) -> Goes:
    """Return what tells the superseded rows of a file, by all that a row is told by."""
    show(connection, superseded=plan.superseded)
    found = connection.execute("SELECT DISTINCT file FROM superseded").fetchall()
    files = {row[0] for row in found}

    def goes(path: str, size: int) -> pa.ChunkedArray | None:
        if path not in files:
            return None
        held = read_part(output, path, _HELD, size=size)
        held = held.append_column("place", pa.array(range(len(held)), pa.int64()))
        with connection.cursor() as cursor:  # for many threads ask
            cursor.register("held", held)
            places = cursor.execute(_PLACES, [str(plan.superseded.path), path]).fetchall()
        going = pa.array([row[0] for row in places], pa.int64())
        return pc.is_in(held["place"], value_set=going)

    return goes
