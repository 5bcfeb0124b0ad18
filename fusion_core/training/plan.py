"""Decides on a training: which pairs it trains and validates on, and whether it is done already."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping

from fusion_core.archive.pairing import Pairing
from fusion_core.archive.plan import PairRef
from fusion_core.errors import SettingsError
from fusion_core.jobs.listing import list_pairs
from fusion_core.models.fuser import read_model
from fusion_core.models.weights_file import load_weights
from fusion_core.storage.file_system import StorageOptions
from fusion_core.storage.source import input_options, open_source
from fusion_core.storage.store import Storage
from fusion_core.training.checkpoint import check_same
from fusion_core.training.job import TrainingJob
from fusion_core.training.log import LOG_FILE, LogFile, read_log
from fusion_core.training.settings import VERSIONS, TrainSettings
from fusion_core.training.split import Split, split_ids, spread


def plan_training(
    settings: TrainSettings, storage_options: StorageOptions
) -> tuple[TrainingJob, Pairing]:
    """List the archive, set validation pairs apart, and fix what decides the weights.

    Args:
        settings: What is asked for.
        storage_options: fsspec options of source, output, index and list of validation pairs.

    Raises:
        SettingsError: Templates, index or validation can't be used, or no pair is left.
        ExpectationError: There are files and not one pair.
        StorageError: There is no such archive, or it can't be listed.
        WeightsError: The weights to start from can't be read, or the teacher can't.
    """
    now = dt.datetime.now(dt.UTC)
    source = open_source(settings, storage_options)
    output = Storage(settings.output, storage_options)
    pairing = list_pairs(
        settings,
        source=source,
        output=output,
        date=settings.run_date(now),
        storage_options=storage_options,
    )
    refs = {row["pair_id"]: PairRef(**row) for row in pairing.pairs.to_pylist()}
    if isinstance(settings.validation, int):
        split = _split(list(refs), settings.validation, output)
    else:
        options = input_options(settings, settings.validation, storage_options)
        split = Split(tuple(_listed(settings.validation, refs, options)))
    apart, kept_out = list(split.validation), {*split.validation, *split.unused}
    left = tuple(ref for name, ref in refs.items() if name not in kept_out)
    if not left:
        raise SettingsError(
            f"{len(refs)} pairs were found in {settings.source} and {len(apart)} of them are for "
            "validation, so none is left to train on. Check source and templates, or keep fewer "
            "apart"
        )
    start = settings.start_from
    training = {
        **settings.recipe().model_dump(mode="json"),
        "pairs": len(left),
        "pairs_digest": _digest(left),
        "validation": apart,
        "start_sha256": load_weights(start)[1].sha256 if start else None,
    }
    if settings.teacher is not None:
        training["teacher_sha256"] = read_model(settings.teacher).model_hash
        training["versions"] = settings.versions or VERSIONS
    # Workers may stand in other folders than the one that relative paths are meant from.
    urls = {"source": source.url(""), "output": output.url("")}
    job = TrainingJob(
        settings=settings.model_copy(update=urls),
        pairs=left,
        validation=tuple(refs[name] for name in apart),
        training=training,
        began=now.isoformat(timespec="seconds"),
    )
    return job, pairing


def finished_log(job: TrainingJob, storage_options: StorageOptions) -> LogFile | None:
    """Return the log of the job's training if that has ended, None where there is work left.

    Raises:
        WeightsError: The output holds a training of other settings or pairs.
        SettingsError: The output holds something else.
    """
    output = Storage(job.settings.output, storage_options)
    log = read_log(output)
    if log is None:
        return None
    check_same(output.url(LOG_FILE), job.training, log.training)
    return log if log.finished else None


def _split(ids: list[str], validation: int, output: Storage) -> Split:
    """Set pairs apart; those that it had, for a training that version 0.1.0 began."""
    split, log = split_ids(ids, validation), read_log(output)
    before = spread(ids, validation)
    theirs = {} if log is None else log.training
    if theirs.get("validation") == before and theirs.get("pairs") == len(ids) - validation:
        return Split(tuple(before))
    return split


def _listed(url: str, refs: Mapping[str, PairRef], storage_options: StorageOptions) -> list[str]:
    """Return the pair ids that a text file names, in the order of the pairs."""
    try:
        lines = Storage(url, storage_options).read("").decode().splitlines()
    except FileNotFoundError as error:
        raise SettingsError(
            f"there is no list of validation pairs {url}; expected a text file with a pair id "
            "per line, or give a number"
        ) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{url} is no text in UTF-8; expected a pair id per line") from error
    wanted = {line.strip() for line in lines if line.strip()}
    if unknown := sorted(wanted - refs.keys()):
        raise SettingsError(
            f"{url} names {len(unknown)} pairs that are not in the archive, the first "
            f"{unknown[0]!r}; expected pair ids as the templates make them, such as "
            f"{next(iter(refs), 'none')!r}"
        )
    return [name for name in refs if name in wanted]


def _digest(refs: tuple[PairRef, ...]) -> str:
    """Return a digest that changes whenever the pairs do: their ids, or the size of a file.

    Not by versions: a copy of the archive has other times of change, and trains the same.
    """
    text = "\n".join(f"{ref.pair_id}\t{ref.ir_bytes}\t{ref.vi_bytes}" for ref in refs)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
