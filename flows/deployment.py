"""Writes the deployments of an archive, and gives them to a Prefect server.

The template is part of the package, so that no checkout is needed; ``infra/prefect.yaml`` is what
it makes of an example.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from string import Template

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectAlreadyExists
from prefect.settings import get_current_settings

from flows.automations import watch_nights
from fusion_core.errors import FuseArchiveError
from fusion_core.settings import FuseArchiveSettings

POOL = "fuse-archive"
FILE = "prefect.yaml"
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class DeploymentError(FuseArchiveError):
    """The deployments can't be written, or the server doesn't take them."""


def write_deployment(
    path: str | Path = FILE,
    *,
    source: str,
    output: str,
    ir: str = "ir/{pair}.png",
    vi: str = "vi/{pair}.png",
    prefix: str | None = None,
    schedule: str = "02:30",
    time_zone: str = "UTC",
    overwrite: bool = False,
) -> Path:
    """Write the file that ``prefect deploy`` takes: a nightly run, and others on request.

    Args:
        path: Where to.
        source: Folder or bucket that holds the pairs.
        output: Folder or bucket for what is fused.
        ir: Template of the infrared images' paths.
        vi: Template of the visible images' paths.
        prefix: Only paths that start so are looked at; it may hold the run's date.
        schedule: A time of day such as ``02:30``, or five fields as cron takes them.
        time_zone: That of the schedule and of today's date, such as ``Europe/Berlin``.
        overwrite: Whether to replace a file that is there.

    Returns:
        Where it was written.

    Raises:
        DeploymentError: The file is there, or the schedule can't be read.
        ValidationError: The settings are wrong; it says which.
    """
    written = Path(path)
    source, output = _anywhere(source), _anywhere(output)
    given = {"source": source, "output": output, "ir": ir, "vi": vi, "time_zone": time_zone}
    FuseArchiveSettings(**given, prefix=prefix or "")
    values = given | {
        "cron": _cron_of(schedule),
        "fused": f"{output.rstrip('/')}/fused/{{settings}}/{{pair}}.{{digest}}.png",
        "detector": f"{source.rstrip('/')}-models/detector.onnx",
        "evaluation": f"{source.rstrip('/')}-evaluation",
        "training": f"{source.rstrip('/')}-training/first",
    }
    _write(written, _filled(values, prefix), overwrite=overwrite)
    return written


def _filled(values: dict[str, str], prefix: str | None) -> str:
    """Return the template with its values as YAML."""
    # A string of JSON is one of YAML too, whatever is in it.
    quoted = {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
    quoted["prefix"] = (
        f"prefix: {json.dumps(prefix, ensure_ascii=False)}"
        if prefix
        else "# prefix: north/{date:%Y/%m/%d}"
    )
    template = files("flows").joinpath("templates", FILE).read_text(encoding="utf-8")
    return Template(template).substitute(quoted)


def _write(path: Path, text: str, *, overwrite: bool) -> None:
    if path.exists() and not overwrite:
        raise DeploymentError(
            f"found {path}; expected no such file. Edit it, name another one, or overwrite it"
        )
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DeploymentError(
            f"{path} can't be written: {error}; expected a file in a folder that is there"
        ) from error


def deploy(path: str | Path = FILE, *, notify: str | None = None) -> list[str]:
    """Give the deployments of a file to the Prefect server, with all that they need there.

    It may be called again: what is there already is brought up to date.

    Args:
        path: As ``write_deployment`` wrote it.
        notify: A notification block, ``TYPE/NAME`` such as ``slack-webhook/ops``, that is told of
            nights that failed, are late, found nothing, or drifted. Default: nobody is told.

    Returns:
        What was done, line by line.

    Raises:
        DeploymentError: There is no server, no such block, or it doesn't take the file.
    """
    url = get_current_settings().api.url
    if not url:
        raise DeploymentError(
            "PREFECT_API_URL isn't set; expected the address of a Prefect server, such as "
            "http://127.0.0.1:4200/api. Start one by 'prefect server start'"
        )
    with get_client(sync_client=True) as client:
        if (error := client.api_healthcheck()) is not None:
            raise DeploymentError(f"the Prefect server at {url} gives no answer: {error}")
        told = [_make_pool(client)]
        _apply(Path(path))
        told.append(f"the deployments of {path} are on {url}")
        if notify is None:
            told.append("nobody is told of nights that fail; a notification block would be")
        else:
            nightly = client.read_deployment_by_name("fuse-archive/nightly").id
            told += watch_nights(client, nightly, notify)
    return told


def _make_pool(client: SyncPrefectClient) -> str:
    try:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    except ObjectAlreadyExists:
        return f"the work pool {POOL} is there"
    return f"the work pool {POOL} was made; start a worker by 'prefect worker start --pool {POOL}'"


def _apply(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", path, "--all"],
        capture_output=True,
        text=True,
    )
    # It ends with 0 where a deployment of several is refused, and says so.
    if done.returncode or "failed" in done.stderr.lower():
        said = (done.stdout + done.stderr).strip()
        raise DeploymentError(f"prefect doesn't take {path}: {said}")


def _anywhere(url: str) -> str:
    """Return a local path as it is called from any folder: a worker has one of its own."""
    return url if "://" in url or not url.strip() else str(Path(url).absolute())


def _cron_of(schedule: str) -> str:
    if clock := _CLOCK.fullmatch(schedule.strip()):
        return f"{int(clock[2])} {int(clock[1])} * * *"
    try:
        return CronSchedule(cron=schedule).cron
    except ValueError as error:
        raise DeploymentError(
            f"found the schedule {schedule!r}; expected a time of day such as 02:30, or five "
            "fields of cron such as '30 2 * * 1-5'"
        ) from error
