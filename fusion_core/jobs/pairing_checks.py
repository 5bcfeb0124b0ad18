"""Says where the pairs that were found aren't what a run's settings expect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fusion_core.archive.found_pairs import FoundPairs
from fusion_core.archive.pairing import Pairing
from fusion_core.archive.spill import Spill
from fusion_core.errors import ExpectationError
from fusion_core.settings.expectations import ExpectationSettings
from fusion_core.settings.run import ArchiveSettings, RunSettings

_MARKERS = (".", "_")
"""What the names of files begin with that are there for a tool, such as _SUCCESS and .keep."""


def check_pairs(settings: ArchiveSettings, pairing: Pairing | FoundPairs) -> None:
    """Fail where files are found and not one pair, unless the settings say to warn of that.

    An archive without files is in order, and so is an index without rows.

    Raises:
        ExpectationError: Files match no template or have no counterpart, or no row of an index is
            a whole pair.
    """
    warns = isinstance(settings, ExpectationSettings) and settings.unmet == "warn"
    told = None if warns else _without_pairs(settings, pairing)
    if told:
        raise ExpectationError(told)


def unmet_by_pairs(settings: RunSettings, pairing: Pairing | FoundPairs) -> tuple[str, ...]:
    """Return in sentences what settings expect of the pairs that were found, and isn't so."""
    found = []
    if told := _without_pairs(settings, pairing):
        found.append(told)
    pairs, least = len(pairing.pairs), settings.min_pairs
    if least is not None and pairs < least:
        found.append(
            f"{pairs} pairs were found in {_looked_at(settings)}; expected at least {least}. "
            "Check whether the files have come in, or set min_pairs lower"
        )
    alone, most = len(pairing.unpaired) + len(pairing.ambiguous), settings.max_unpaired
    share = alone / max(alone + 2 * pairs, 1)
    if most is not None and share > most:
        found.append(
            f"{alone} of {alone + 2 * pairs} files ({share:.1%}) are in no pair: "
            f"{_counted(pairing)}; expected at most {most:.1%}. Check whether the other side has "
            "come in, or set max_unpaired higher"
        )
    return tuple(found)


def _without_pairs(settings: ArchiveSettings, pairing: Pairing | FoundPairs) -> str | None:
    """Return what is wrong where files are found and not one pair."""
    if len(pairing.pairs):
        return None
    if pairing.index_rows:
        return (
            f"the index {settings.index} has {pairing.index_rows} rows and none is a whole pair of "
            f"files in {_looked_at(settings)}: {_counted(pairing)}; expected rows whose files are "
            f"both there. {_other_files(pairing)}Check index and source"
        )
    alone = len(pairing.unpaired) + len(pairing.ambiguous)
    templates = f"the templates {settings.ir!r} and {settings.vi!r}"
    if alone:
        return (
            f"{alone} files of {settings.source} match {templates} and make no pair: "
            f"{_counted(pairing)}; expected an infrared and a visible file with the same fields. "
            f"{_other_files(pairing)}Check both templates, and whether the other side has come in"
        )
    other = _first_that_is_meant(pairing.unmatched) if settings.index is None else None
    if other is None:
        return None
    return (
        f"found {len(pairing.unmatched)} files in {_looked_at(settings)}, such as {other!r}, and "
        f"none of them matches {templates}; expected pairs of files that do. Check both templates, "
        "and whether a folder was renamed"
    )


def _looked_at(settings: ArchiveSettings) -> str:
    if not settings.prefix:
        return settings.source
    return f"{settings.source}, of which paths that start with {settings.prefix!r} are looked at"


def _counted(pairing: Pairing | FoundPairs) -> str:
    """Return how many files make no pair, why, and the first of them."""
    kinds = (
        (pairing.unpaired, "are missing or have no counterpart"),
        (pairing.ambiguous, "claim a pair that another file claims too"),
    )
    return ", ".join(
        f"{len(paths)} {why}, such as {', '.join(map(repr, _first(paths, 3)))}"
        for paths, why in kinds
        if len(paths)
    )


def _other_files(pairing: Pairing | FoundPairs) -> str:
    paths = pairing.unmatched
    if not len(paths):
        return ""
    return f"There are {len(paths)} others, such as {_first(paths, 1)[0]!r}. "


def _first(paths: tuple[str, ...] | Spill, count: int) -> tuple[str, ...]:
    if isinstance(paths, Spill):
        return tuple(paths.head(count)["path"].to_pylist())
    return paths[:count]


def _first_that_is_meant(paths: tuple[str, ...] | Spill) -> str | None:
    """Return the first path whose name isn't that of a marker, None where all are."""
    names: Iterable[str] = paths if isinstance(paths, tuple) else _each(paths)
    return next((p for p in names if not p.rpartition("/")[2].startswith(_MARKERS)), None)


def _each(paths: Spill) -> Iterator[str]:
    for batch in paths.to_batches():
        yield from batch.column("path").to_pylist()
