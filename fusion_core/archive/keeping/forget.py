"""Removes all that an output holds of pairs, and proves that nothing is left.

What was begun is noted in a journal, so that a removal that was killed is finished by whoever
cleans next. Every step finds by itself what is left to do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, ValidationError

from fusion_core.archive.keeping.clean import remove_all
from fusion_core.archive.keeping.inventory import STEM, STEM_BESIDE, Inventory, take_inventory
from fusion_core.archive.keeping.naming import PICTURES, Naming
from fusion_core.archive.keeping.rows_out import rebuild_indexes, take_rows_out
from fusion_core.archive.layout import COMMITS_FOLDER, FUSED_FOLDER, RUNS_FOLDER, TABLES
from fusion_core.archive.lease import Lease
from fusion_core.archive.lease_record import LEASE_FOLDER
from fusion_core.archive.parts import read_part
from fusion_core.archive.spill import Spill, engine
from fusion_core.errors import ManifestError
from fusion_core.storage.store import Storage

JOURNAL = f"{COMMITS_FOLDER}/forget.json"

_READERS = 16
_AT_ONCE = 256


@dataclass(frozen=True)
class Search:
    """Where an output was searched for pairs.

    Attributes:
        looked_at: Number of objects by folder and extension, whose paths and contents were read;
            of pictures the paths.
        left: Paths of those that name one of the pairs.
    """

    looked_at: dict[str, int]
    left: tuple[str, ...]


class _Journal(BaseModel):
    model_config = ConfigDict(frozen=True)

    pairs: tuple[str, ...]


def begun_before(output: Storage) -> tuple[str, ...]:
    """Return the ids of the pairs whose removal was begun and not finished.

    Raises:
        ManifestError: The journal can't be read.
        StorageError: The store failed.
    """
    try:
        return _Journal.model_validate_json(output.read(JOURNAL)).pairs
    except FileNotFoundError:
        return ()
    except ValidationError as error:
        raise ManifestError(
            f"{output.url(JOURNAL)} can't be read: {error}. Expected the ids of pairs that are "
            "being removed; remove the file, and name the pairs again"
        ) from error


def forget(
    output: Storage,
    pair_ids: Collection[str],
    folder: Path,
    lease: Lease,
    rewrite_catalogs: Callable[[Storage], None],
    tell: Callable[[str], None] = lambda _: None,
) -> Search:
    """Remove images, rows and mentions of pairs; also of those that were begun with before.

    Args:
        output: The output.
        pair_ids: Ids of the pairs.
        folder: A scratch folder.
        lease: The output's, under which all earlier runs were closed.
        rewrite_catalogs: Writes the output's catalogues of scenes anew from its rows.
        tell: Is told how far it is.

    Returns:
        What is left.

    Raises:
        ManifestError: Something can't be read, so that nobody knows what it holds.
        LeaseLostError: Another run has taken over.
        StorageError: The store failed, or refuses to remove.
    """
    pairs = sorted({*pair_ids, *begun_before(output)})
    body = _Journal(pairs=tuple(pairs)).model_dump_json().encode()
    if not output.create(JOURNAL, body):
        output.write(JOURNAL, body)
    found = take_inventory(output, folder, tell)
    if found.unreadable:
        raise ManifestError(
            f"{len(found.unreadable)} files of {output.url('')} can't be read, so nothing is known "
            f"of what they hold. Restore or remove them first. The first: {found.unreadable[0]}"
        )
    naming = Naming(pairs, _ids(found))
    tell("removing images")
    remove_all(output, _images(found, naming, folder), lease.confirm)
    tell("removing what runs wrote of the pairs")
    remove_all(output, _of_runs(output, found, naming, folder), lease.confirm)
    tell("removing rows")
    count = forget_rows(output, found, pairs, lease.confirm)
    tell(f"{count} files of rows written anew; now the index and the catalogues")
    rebuild_indexes(output, TABLES, folder, lease)
    lease.confirm()
    rewrite_catalogs(output)
    search = search_for(output, folder, pairs, tell)
    remove_all(output, [JOURNAL], lease.confirm)
    return search


def forget_rows(
    output: Storage, found: Inventory, pair_ids: Collection[str], check: Callable[[], None]
) -> int:
    """Write all files anew that hold rows of pairs, without these; return how many.

    Args:
        output: The output.
        found: What lies in it.
        pair_ids: Ids of the pairs.
        check: Raises where the lease was lost.

    Raises:
        ManifestError: A file or a record can't be read.
        StorageError: The store failed.
    """
    ids = pa.array(sorted(pair_ids), pa.string())

    def goes(path: str, size: int) -> pa.ChunkedArray:
        return pc.is_in(read_part(output, path, ["pair_id"], size=size)["pair_id"], value_set=ids)

    return take_rows_out(output, found, goes, check)


def search_for(
    output: Storage,
    folder: Path,
    pair_ids: Collection[str],
    tell: Callable[[str], None] = lambda _: None,
) -> Search:
    """Search all paths, all texts in Parquet files and all other texts for pairs.

    Raises:
        StorageError: The store failed.
    """
    found = take_inventory(output, folder)
    naming = Naming(pair_ids, _ids(found))
    others = _images_of_others(found, naming, folder)
    looked_at: Counter[str] = Counter()
    left: list[str] = []

    def names(path: str) -> bool:
        return (naming.in_path(path) and path not in others) or _holds(output, naming, path)

    with ThreadPoolExecutor(_READERS, "search") as readers:
        for paths in _batches(found.objects):
            paths = [path for path in paths if path != JOURNAL]
            hits = readers.map(names, paths)
            left += [path for path, hit in zip(paths, hits, strict=True) if hit]
            looked_at.update(f"{path.partition('/')[0]}/*{Path(path).suffix}" for path in paths)
            tell(f"{looked_at.total()} objects searched, {len(left)} name a pair")
    return Search(dict(sorted(looked_at.items())), tuple(sorted(left)))


def _holds(output: Storage, naming: Naming, path: str) -> bool:
    try:
        return naming.in_object(output, path)
    except FileNotFoundError:
        return False


def _ids(found: Inventory) -> Iterator[str]:
    for batch in found.rows.to_batches(columns=["pair_id"]):
        yield from set(batch.column("pair_id").to_pylist())


def _batches(objects: Spill) -> Iterator[list[str]]:
    for batch in objects.to_batches(_AT_ONCE, columns=["path"]):
        yield batch.column("path").to_pylist()


def _images(found: Inventory, naming: Naming, folder: Path) -> list[str]:
    others = _images_of_others(found, naming, folder)
    return [path for path in _called_so(found, naming) if path not in others]


def _called_so(found: Inventory, naming: Naming) -> Iterator[str]:
    for paths in _batches(found.objects):
        yield from (p for p in paths if p.startswith(f"{FUSED_FOLDER}/") and naming.in_path(p))


def _images_of_others(found: Inventory, naming: Naming, folder: Path) -> set[str]:
    """Return what is called as the pairs' images are, and named by rows of other pairs."""
    called = pa.table({"path": pa.array(_called_so(found, naming), pa.string())})
    with engine(folder) as connection:
        found.show(connection)
        connection.register("called", called)
        rows = connection.execute(
            f"""SELECT path FROM called SEMI JOIN (
                SELECT {STEM} AS stem FROM rows WHERE NOT list_contains(?, pair_id)) AS named
            ON {STEM_BESIDE} = stem""",
            [sorted(naming.pair_ids)],
        ).fetchall()
    return {row[0] for row in rows}


def _of_runs(output: Storage, found: Inventory, naming: Naming, folder: Path) -> list[str]:
    """Return what runs wrote that names the pairs, and pictures of runs that had them, first."""
    with engine(folder) as connection:
        found.show(connection)
        sql = "SELECT DISTINCT run_id FROM rows WHERE list_contains(?, pair_id)"
        runs = {row[0] for row in connection.execute(sql, [sorted(naming.pair_ids)]).fetchall()}
    naming_it: list[str] = []
    pictures: list[str] = []
    with ThreadPoolExecutor(_READERS, "forget") as readers:
        for some in _batches(found.objects):
            paths = [path for path in some if _is_of_run(path)]
            hits = readers.map(lambda path: _holds(output, naming, path), paths)
            naming_it += [path for path, hit in zip(paths, hits, strict=True) if hit]
            pictures += [path for path in paths if path.endswith(PICTURES)]
    runs |= {path.split("/")[1] for path in naming_it}
    # While texts still tell which runs had the pair.
    return [*(path for path in pictures if path.split("/")[1] in runs), *naming_it]


def _is_of_run(path: str) -> bool:
    return path.startswith(f"{RUNS_FOLDER}/") and not path.startswith(f"{LEASE_FOLDER}/")
