"""Starts what a run that is started by hand needs, all at once, and then calls the same flow.

Prefect's server, Ray with a worker that has loaded what it fuses with, and this process's own
modules take as long as each other, and hardly need each other to start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

from actors.early_imports import importing
from flows.prefect_server import PrefectServerError, start_server
from flows.watching.json_logs import logs_as
from fusion_core.settings import ArchiveSettings

FUSING = ("fusion_core.jobs.fusion_worker", "fusion_core.models.fuser")
"""What a worker that fuses loads, and torch with it."""


Settings = TypeVar("Settings", bound=ArchiveSettings)


def start(
    settings: Settings,
    load: Callable[[], Callable[[Settings], Any]],
    *,
    preloaded: Sequence[str] | None = None,
) -> Any:
    """Call a flow, and return what it returns.

    Args:
        settings: The flow's.
        load: Imports the flow, and Prefect with it, and returns it.
        preloaded: What the workers of a local Ray load; it is started although nobody knows yet
            whether there is work: a night without any ends no later for it, since it starts beside
            Prefect, and with work it saves as long. None leaves Ray to the flow.
    """
    server_ready = start_server()
    with importing():
        from actors.cluster import starting
    ray = nullcontext() if preloaded is None else starting(settings.ray_address, preloaded)
    with ray:
        with importing():
            flow = load()
        server_ready()
        with logs_as(getattr(settings, "log_format", "text")):
            try:
                return flow(settings)
            except RuntimeError as error:
                if not str(error).startswith("Failed to reach API"):
                    raise
                raise PrefectServerError(
                    f"{error}: no Prefect server answers there. Start it, or unset "
                    "PREFECT_API_URL to have a temporary one"
                ) from error
