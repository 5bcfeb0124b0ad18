"""The commands that have Prefect run nights: write their deployment, and give it to a server."""

from __future__ import annotations

from pydantic import BaseModel, Field, ValidationError

from flows.commandline.command import Command, Told
from flows.commandline.options import usage_error

_FILE = "prefect.yaml"


class Init(BaseModel):
    """What init can be told."""

    source: str = Field(description="Folder or bucket that holds the pairs: any fsspec URL.")
    output: str = Field(description="Folder or bucket for what is fused: any fsspec URL.")
    ir: str = Field("ir/{pair}.png", description="Template of the infrared images, as for run.")
    vi: str = Field("vi/{pair}.png", description="Template of the visible images, as for run.")
    prefix: str | None = Field(
        None, description="Only paths that start so are looked at, as for run."
    )
    schedule: str = Field(
        "02:30", description="When: a time of day, or five fields as cron takes them."
    )
    time_zone: str = Field(
        "UTC", description="Time zone of the schedule and of today's date, such as Europe/Berlin."
    )
    file: str = Field(_FILE, description="The file to write.")
    overwrite: bool = Field(False, description="Replace a file that is there.")


class Deploy(BaseModel):
    """What deploy can be told."""

    file: str = Field(_FILE, description="The file, as init wrote it.")
    notify: str | None = Field(
        None,
        description="Notification block, TYPE/NAME such as slack-webhook/ops, that is told of "
        "nights that failed, are late, found nothing, or drifted. Default: nobody is told.",
    )


def init(given: Init) -> tuple[Told, int]:
    """Write the file."""
    from flows.deployment import write_deployment
    from flows.summaries.housekeeping import Housekeeping

    values = given.model_dump(exclude={"file"})
    try:
        path = write_deployment(given.file, **values)
    except ValidationError as error:
        raise usage_error(error) from None
    follow = (
        f"Look at {path}, then give it to a Prefect server:",
        "",
        "    prefect server start --background",
        "    export PREFECT_API_URL=http://127.0.0.1:4200/api",
        f"    fuse-archive deploy --file {path}",
        "    prefect worker start --pool fuse-archive",
    )
    title = f"The deployment of {given.source} is in {path}"
    return Housekeeping(title=title, output=given.output, notes=follow), 0


def deploy(given: Deploy) -> tuple[Told, int]:
    """Give it to the server."""
    from flows.deployment import deploy
    from flows.summaries.housekeeping import Housekeeping

    told = deploy(given.file, notify=given.notify)
    title = f"The deployments of {given.file} are made"
    return Housekeeping(title=title, notes=tuple(f"- {line}" for line in told)), 0


DEPLOYING = (
    Command("init", "Write the file by which Prefect runs nights of an archive.", Init, init),
    Command("deploy", "Give such a file to the Prefect server.", Deploy, deploy),
)
