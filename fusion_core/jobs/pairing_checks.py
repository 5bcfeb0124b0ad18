"""Refuses settings by which files are found and not one whole pair of them."""

from __future__ import annotations

from fusion_core.archive.found_pairs import FoundPairs
from fusion_core.archive.pairing import Pairing
from fusion_core.archive.spill import Spill
from fusion_core.errors import SettingsError
from fusion_core.settings.run import ArchiveSettings


def check_templates(settings: ArchiveSettings, pairing: Pairing | FoundPairs) -> None:
    """Raise SettingsError where templates match files and make no pair of them.

    An archive that holds nothing yet, or nothing that is meant, is in order.
    """
    alone = len(pairing.unpaired) + len(pairing.ambiguous)
    if alone and not len(pairing.pairs):
        raise SettingsError(
            f"{alone} files of {settings.source} match the templates {settings.ir!r} and "
            f"{settings.vi!r} and make no pair: {_counted(pairing)}; expected an infrared and a "
            f"visible file with the same fields. {_other_files(pairing)}Check both templates, and "
            "whether the other side has come in"
        )


def check_index(settings: ArchiveSettings, pairing: Pairing | FoundPairs) -> None:
    """Raise SettingsError where an index has rows of which none is a pair."""
    if pairing.index_rows and not len(pairing.pairs):
        below = f"{settings.source}, of which paths that start with {settings.prefix!r} are looked "
        below = f"{below}at" if settings.prefix else settings.source
        raise SettingsError(
            f"the index {settings.index} has {pairing.index_rows} rows and none is a whole pair of "
            f"files in {below}: {_counted(pairing)}; expected rows whose files are both there. "
            f"{_other_files(pairing)}Check index and source"
        )


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
