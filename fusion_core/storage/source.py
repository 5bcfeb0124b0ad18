"""Opens the archive that a run reads, whose requests the reader may have to pay for."""

from __future__ import annotations

from fusion_core.settings.run import ArchiveSettings
from fusion_core.storage.file_system import StorageOptions, options_now
from fusion_core.storage.store import RETRY_SECONDS, Storage

_PAYER = "requester_pays"  # so s3fs and gcsfs call it, and those know whom to charge


def open_source(
    settings: ArchiveSettings, options: StorageOptions, retry_seconds: float = RETRY_SECONDS
) -> Storage:
    """Return the storage of ``settings.source``.

    Args:
        settings: Where the archive lies, and whether requests are paid for by who makes them.
        options: Storage options for all of a run's stores, or what returns those to use now.
        retry_seconds: How long a call is repeated for while it fails for a passing reason.
    """
    return Storage(
        settings.source, source_options(settings, options), retry_seconds, settings.identity
    )


def source_options(settings: ArchiveSettings, options: StorageOptions) -> StorageOptions:
    """Return the options for files of the archive, by those for all of a run's stores."""
    if not settings.requester_pays:
        return options
    if callable(options):
        return lambda: {_PAYER: True, **options_now(options)}
    return {_PAYER: True, **options_now(options)}


def input_options(settings: ArchiveSettings, url: str, options: StorageOptions) -> StorageOptions:
    """Return the options for a further input, such as an index, which may lie in the archive."""
    inside = url.startswith(f"{settings.source.rstrip('/')}/")
    return source_options(settings, options) if inside else options
