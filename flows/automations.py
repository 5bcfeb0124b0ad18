"""Has Prefect tell somebody of nights that failed, are late, found nothing, or drifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import (
    AutomationCore,
    EventTrigger,
    Posture,
)
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectNotFound

from flows.night import DRIFT, EMPTY
from fusion_core.errors import SettingsError

_LINK = "{{ flow_run|ui_url }}"
_STATE = "{{ flow_run.name }}: {{ flow_run.state.message }}"
_NUMBERS = "{{ event.payload.run }}: {{ event.payload.sentence }}"


@dataclass(frozen=True)
class Watch:
    """What somebody is told of.

    Attributes:
        name: Of the automation.
        subject: Of the message.
        events: Any of these is told of.
        body: What the message says.
    """

    name: str
    subject: str
    events: tuple[str, ...]
    body: str


WATCHES = (
    Watch(
        "fuse-archive: failed night",
        "A night of fuse-archive failed",
        ("prefect.flow-run.Failed", "prefect.flow-run.Crashed", "prefect.flow-run.TimedOut"),
        _STATE,
    ),
    Watch(
        "fuse-archive: late night",
        "A night of fuse-archive hasn't begun",
        ("prefect.flow-run.Late",),
        "{{ flow_run.name }} should have begun; is a worker there?",
    ),
    Watch(
        "fuse-archive: empty night",
        "A night of fuse-archive found nothing",
        (EMPTY,),
        _NUMBERS,
    ),
    Watch(
        "fuse-archive: drift",
        "The metrics of fuse-archive left what was expected",
        (DRIFT,),
        _NUMBERS + "\n{{ event.payload.left | join(', ') }}",
    ),
)


def automation_of(watch: Watch, deployment: UUID, block: UUID) -> AutomationCore:
    """Return the automation that tells of something.

    Args:
        watch: What it tells of.
        deployment: Whose runs it watches.
        block: The notification block that it tells.
    """
    return AutomationCore(
        name=watch.name,
        description="Made by fuse-archive deploy.",
        tags=["fuse-archive"],
        trigger=EventTrigger(
            expect=set(watch.events),
            match_related=ResourceSpecification(
                {
                    "prefect.resource.role": "deployment",
                    "prefect.resource.id": f"prefect.deployment.{deployment}",
                }
            ),
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            SendNotification(
                block_document_id=block, subject=watch.subject, body=f"{watch.body}\n\n{_LINK}"
            )
        ],
    )


def watch_nights(
    client: SyncPrefectClient, deployment: UUID, notify: str, watches: Sequence[Watch] = WATCHES
) -> list[str]:
    """Make the automations, or bring them up to date, and return what was done.

    Args:
        client: Of the Prefect server.
        deployment: Whose runs they watch.
        notify: The notification block that they tell, ``TYPE/NAME``.
        watches: What they tell of.

    Raises:
        SettingsError: There is no such block.
    """
    kind, slash, name = notify.partition("/")
    try:
        if not slash:
            raise ObjectNotFound(ValueError(notify))
        block = client.read_block_document_by_name(name, kind).id
    except ObjectNotFound as error:
        raise SettingsError(
            f"there is no notification block {notify}; expected TYPE/NAME of one, such as "
            "slack-webhook/ops. Make it on the page Blocks of Prefect's UI"
        ) from error
    assert block is not None  # the server has given it one
    told = []
    for watch in watches:
        automation = automation_of(watch, deployment, block)
        if known := client.read_automations_by_name(watch.name):
            client.update_automation(known[0].id, automation)
        else:
            client.create_automation(automation)
        told.append(f"{notify} is told of a {watch.name.partition(': ')[2]}")
    return told
