"""Looks, before any server is started, whether a run can begin: files, model, stores, machines.

What is looked at is what mistyped settings get wrong. It takes a second or two, and the run looks
at all of it again, since it may be started without a command line.
"""

from __future__ import annotations

import datetime as dt

from flows.watching.asked import check_watching
from fusion_core.archive import RUNS_FOLDER, parse_templates
from fusion_core.detection import read_detector, require_pycocotools
from fusion_core.errors import SettingsError
from fusion_core.jobs import DetectSettings
from fusion_core.models import BASELINE_NAMES, model_hash_of
from fusion_core.settings import ArchiveSettings, WatchingSettings
from fusion_core.storage import (
    RETRY_SECONDS,
    Storage,
    StorageOptions,
    open_source,
    reach,
    require_folder,
    source_options,
)
from fusion_core.training import TrainSettings


def check_start(settings: ArchiveSettings) -> None:
    """Raise what would end a run soon after its start.

    Args:
        settings: The run's, of whatever kind.

    Raises:
        SettingsError: Templates don't go together, or this machine lacks what is asked for, such as
            pandas to train with, or a free port for metrics.
        WeightsError: A model can't be used.
        StorageError: Source or output can't be reached, or written to.
    """
    if settings.index is None:
        parse_templates(settings.ir, settings.vi)
    if isinstance(settings, WatchingSettings):
        check_watching(settings)
    if settings.credentials_block is None:  # which Prefect's server has, and that isn't up yet
        check_stores(settings)
    for model, sha256 in models_of(settings):
        check_model(model, sha256)
    if isinstance(settings, DetectSettings):
        read_detector(settings.detector, settings.detector_description)
        if settings.labels is not None:
            require_pycocotools()
    if isinstance(settings, TrainSettings):
        from actors.training import require_ray_train  # and Ray

        require_ray_train()
    check_machine(settings)


def check_machine(settings: ArchiveSettings) -> None:
    """Raise SettingsError where a local Ray lacks the GPU that is asked for: it can't grow."""
    if settings.ray_address is not None or not settings.worker.startswith("gpu"):
        return
    from fusion_core.models import resolve_device  # and torch

    try:
        resolve_device("cuda")
    except SettingsError as error:
        raise SettingsError(
            f"worker is {settings.worker!r} and this machine has no GPU that torch can use "
            f"({error}). Leave worker out to compute on CPUs, or name a cluster with GPUs by "
            "ray_address"
        ) from error


def models_of(settings: ArchiveSettings) -> list[tuple[str, str | None]]:
    """Return the models that a run fuses or begins with, each with the sha256 that is expected."""
    model = getattr(settings, "model", None)
    found = [(model, getattr(settings, "model_sha256", None))] if model else []
    found += [(one, None) for one in getattr(settings, "models", {}).values()]
    found += [(one, None) for one in [getattr(settings, "teacher", None)] if one]
    return found


def check_model(model: str, sha256: str | None) -> None:
    """Raise WeightsError or StorageError where a model can't be used; a baseline always can."""
    if model not in BASELINE_NAMES or sha256 is not None:
        model_hash_of(model, sha256)


def check_input(name: str, url: str, options: StorageOptions) -> None:
    """Raise SettingsError where a further input, such as an index, isn't there."""
    try:
        Storage(url, options).info("")
    except FileNotFoundError as error:
        raise SettingsError(
            f"{name} is {url}, and there is nothing; expected a file or folder. Check the URL"
        ) from error


def check_stores(settings: ArchiveSettings) -> None:
    """Raise StorageError where source or output can't be reached, or the output not be written.

    Of the source a single request is asked: that it is empty may be in order. The output gets the
    object that each run leaves there to try conditional writes, unless nothing is to be written.
    """
    seconds = getattr(settings, "storage_timeout", RETRY_SECONDS)
    source = open_source(settings, None, seconds)
    if settings.inventory is None:  # else nobody lists it, or need be allowed to
        today = settings.run_date(dt.datetime.now(dt.UTC))
        reach(source, settings.expanded_prefixes(today)[0])
    require_folder(source)
    for name in ("index", "inventory"):
        if (url := getattr(settings, name)) is not None:
            inside = url.startswith(settings.source)
            check_input(name, url, source_options(settings, None) if inside else None)
    if not getattr(settings, "dry_run", False):
        Storage(settings.output, None, seconds).check_exclusive(RUNS_FOLDER)
