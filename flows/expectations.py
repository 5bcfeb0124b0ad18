"""Holds a run to what its settings expect: of the pairs before it works, of the metrics behind."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from prefect import get_run_logger

from flows.night import DRIFT, tell
from flows.past_runs import past_runs
from flows.run import Run
from flows.summaries.archive import ArchiveSummary
from fusion_core.archive import FoundPairs, Pairing
from fusion_core.errors import ExpectationError
from fusion_core.jobs import unmet_by_pairs
from fusion_core.settings import RunSettings
from fusion_core.storage import Storage

DRIFT_PAIRS = 20
"""A mean over fewer pairs says too little for a change of it to be a drift."""

LEAST_NIGHTS = 3
"""So many nights say what is usual; before there are as many, no change is a drift."""

_LOOKED_AT = 10  # summaries at most for each night that is wanted: others have other settings

SomeSummary = TypeVar("SomeSummary", bound=ArchiveSummary)


@dataclass(frozen=True)
class Means:
    """The means of a run's metrics, or of one method's or model's in it.

    Attributes:
        name: What a sentence calls it by; empty for those of the whole run.
        key: What has to be the same where two are compared: settings, and model or method.
        pairs: How many pairs they are over.
        values: The means by metric; None where one is undefined for all of them.
    """

    name: str
    key: tuple[str, ...]
    pairs: int
    values: Mapping[str, float | None]


def check_found(run: Run[Any], pairing: Pairing | FoundPairs) -> None:
    """Hold the pairs that were found to the settings, before anything is done with them.

    Raises:
        ExpectationError: They aren't as expected, and the settings don't say to warn of that only.
    """
    unmet = unmet_by_pairs(run.settings, pairing)
    if unmet and run.settings.unmet == "fail":
        raise ExpectationError(" ".join(unmet))
    for told in unmet:
        get_run_logger().warning("Not as expected: %s", told)


def with_unmet(
    summary: SomeSummary, run: Run[Any], output: Storage, pairing: Pairing | FoundPairs
) -> SomeSummary:
    """Return a run's summary with what isn't as its settings expect.

    Args:
        summary: The summary, whose ``request`` is known.
        run: The run.
        output: Its output, with the summaries of the nights before.
        pairing: The pairs that were found.

    Raises:
        StorageError: The store failed.
    """
    settings: RunSettings = run.settings
    unmet = list(unmet_by_pairs(settings, pairing))
    for means in means_of(summary.model_dump(mode="json")):
        unmet += _out_of_bounds(means, settings)
        if settings.max_drift is not None and means.pairs >= DRIFT_PAIRS:
            before = nights_before(output, means, settings.drift_nights, run.identity.run_id)
            unmet += drifts(means, before, settings.max_drift)
    return summary.model_copy(update={"unmet": tuple(unmet)})


def fail_if_unmet(summary: ArchiveSummary, settings: RunSettings) -> None:
    """Fail a run that isn't as expected, once all is published and its summary is written.

    Prefect is told of it by an event, whether it fails or only warns.

    Raises:
        ExpectationError: It isn't, and the settings don't say to warn of that only.
    """
    if summary.unmet:
        tell(DRIFT, summary, summary.unmet)
    if summary.unmet and settings.unmet == "fail":
        raise ExpectationError(
            f"{summary.sentence()} All that was done stands, see {summary.output}"
        )


def means_of(summary: Mapping[str, Any]) -> Iterator[Means]:
    """Yield the means that a summary has, with what they may be compared by; of before, none.

    Args:
        summary: As its summary.json has it.
    """
    request = summary.get("request") or {}
    if "metrics" in summary:  # of a fusing run
        model = request.get("model") or {}
        key = (str(request.get("settings_hash")), str(model.get("sha256")))
        values = {name: of.get("mean") for name, of in (summary["metrics"] or {}).items()}
        if request and values:
            yield Means("", key, int(summary.get("fused", 0)), values)
        return
    models = request.get("models")
    for name, values in (summary.get("means") or {}).items():
        if models is None:  # of a scoring one: each method has as many images as it has
            pairs = int(summary.get("images", 0)) // max(len(summary["means"]), 1)
            key = (str(request.get("settings_hash")), f"method {name}")
        else:
            pairs, of = int(summary.get("pairs", 0)), models.get(name) or {}
            key = (str(of.get("settings_hash")), str(of.get("sha256")))
        if request and pairs:
            yield Means(name, (str(request.get("flow")), *key), pairs, values)


def nights_before(output: Storage, means: Means, nights: int, run_id: str) -> list[Means]:
    """Return the comparable means of the last nights, the newest first.

    Args:
        output: The output.
        means: What they are to be compared with.
        nights: At most so many.
        run_id: Only runs before this one.

    Raises:
        StorageError: The store failed.
    """
    runs = islice(past_runs(output, before=run_id), nights * _LOOKED_AT)
    found = (
        one
        for past in runs
        for one in _means_of_before(past.summary)
        if one.key == means.key and one.pairs >= DRIFT_PAIRS
    )
    return list(islice(found, nights))


def _means_of_before(summary: Mapping[str, Any]) -> list[Means]:
    try:
        return list(means_of(summary))
    except (AttributeError, TypeError, ValueError):  # by somebody's hand, or of a later version
        return []


def drifts(means: Means, before: list[Means], most: float) -> list[str]:
    """Say which means differ from the median of the nights before by more than a fraction of it.

    Args:
        means: Of the run.
        before: Of the nights before.
        most: The fraction.
    """
    told = []
    for name, mean in means.values.items():
        values = (one.values.get(name) for one in before)
        known = [value for value in values if isinstance(value, (int, float))]
        if mean is None or len(known) < LEAST_NIGHTS:
            continue
        usual = statistics.median(known)
        if abs(mean - usual) > most * abs(usual):
            change = f"{(mean - usual) / abs(usual):+.1%}" if usual else "any"
            told.append(
                f"The mean {_named(name, means)} is {mean:.4g}, {change} of the {usual:.4g} that "
                f"is usual (median of {len(known)} nights); expected at most {most:.1%} of change."
            )
    return told


def _out_of_bounds(means: Means, settings: RunSettings) -> Iterator[str]:
    for name, (low, high) in settings.expect.items():
        mean = means.values.get(name)
        ends = {"at least": low, "at most": high}
        wanted = " and ".join(f"{which} {end:g}" for which, end in ends.items() if end is not None)
        if mean is None:
            yield (
                f"{_named(name, means)} is undefined for all {means.pairs} pairs; expected "
                f"{wanted}."
            )
        elif (low is not None and mean < low) or (high is not None and mean > high):
            yield (
                f"The mean {_named(name, means)} over {means.pairs} pairs is {mean:.4g}; expected "
                f"{wanted}."
            )


def _named(metric: str, means: Means) -> str:
    return f"{metric} of {means.name}" if means.name else metric
