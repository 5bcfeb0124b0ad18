"""What Prefect is told of a run as such: its name, how it ended, and what was odd about it.

An automation can wait for the events; ``flows.automations`` makes some.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar, cast

from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.events import emit_event
from prefect.states import Completed

from flows.summaries.archive import ArchiveSummary
from flows.summaries.base import Summary

SomeSummary = TypeVar("SomeSummary", bound=Summary)

EMPTY = "fuse-archive.night.empty"
"""The event of a run that found no pair at all."""

DRIFT = "fuse-archive.night.drift"
"""The event of a run whose metrics left what was expected of them."""


def name_flow_run(run_id: str) -> None:
    """Give the flow run that is at work the name that its summary and its rows have.

    Args:
        run_id: The run's id.
    """
    context = FlowRunContext.get()
    if context and context.flow_run:
        with get_client(sync_client=True) as client:
            client.update_flow_run(context.flow_run.id, name=run_id)


def ended(summary: SomeSummary) -> SomeSummary:
    """Return what a flow returns that ended well: its state in Prefect says the sentence.

    Who calls the flow in Python is given the summary itself.

    Args:
        summary: The run's summary.
    """
    if isinstance(summary, ArchiveSummary) and not summary.found:
        tell(EMPTY, summary)
    state: Any = Completed(message=summary.sentence(), data=summary)
    return cast(SomeSummary, state)


def tell(event: str, summary: ArchiveSummary, left: Sequence[str] = ()) -> None:
    """Emit an event about a run, with its numbers.

    Args:
        event: ``EMPTY`` or ``DRIFT``.
        summary: The run's summary.
        left: In words, what left what was expected.
    """
    emit_event(
        event,
        resource={
            "prefect.resource.id": f"fuse-archive.output.{summary.output}",
            "prefect.resource.name": summary.run_id,
        },
        payload={
            "run": summary.run_id,
            "output": summary.output,
            "sentence": summary.sentence(),
            "found": summary.found,
            "done": summary.succeeded,
            "failed": summary.failed,
            "undone": summary.undone,
            "left": [*left],
        },
    )
