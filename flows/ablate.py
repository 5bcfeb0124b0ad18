"""The flow ``ablate-refinefuse``: train the variants of a study, and compare them by one table."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow, get_run_logger

from actors.cluster import connected
from flows.evaluate import evaluate
from flows.night import ended
from flows.parent_watchdog import end_with_worker
from flows.summaries.ablation import AblationSummary
from flows.train import train_refinefuse
from fusion_core.settings import OverrideOf, overridden
from fusion_core.training import AblateSettings

FLOW = "ablate-refinefuse"


@flow(name=FLOW, retries=0)
def ablate_refinefuse(
    settings: AblateSettings,
    override: Annotated[dict[str, Any] | None, OverrideOf(AblateSettings)] = None,
) -> AblationSummary:
    """Train the variants of an ablation study one by one, and compare them over the same pairs.

    A study that is stopped goes on where it was: finished variants are left alone, the one that
    was in work goes on from its checkpoint.

    Args:
        settings: The study, how to train, and what to compare on.
        override: Some of the settings, which replace those above in this run.

    Returns:
        What became of the trainings, and the comparison.

    Raises:
        FuseArchiveError: A training or the evaluation can't go on.
    """
    end_with_worker()
    settings = overridden(settings, override)
    logger = get_run_logger()
    trainings = {}
    with connected(settings.ray_address):
        for name, variant in settings.variants().items():
            logger.info("Variant %s of %s", name, settings.study)
            trainings[name] = train_refinefuse.with_options(flow_run_name=name)(variant)
        evaluation = evaluate(settings.evaluating())
    summary = AblationSummary(study=settings.study, trainings=trainings, evaluation=evaluation)
    return ended(summary)
