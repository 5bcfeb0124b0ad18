"""Starts what a run that is started by hand needs, all at once, and then calls the same flow.

Prefect's server, Ray with a worker that has loaded what it fuses with, and this process's own
modules take as long as each other, and hardly need each other to start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.early_imports import importing
from flows.prefect_server import start_server
from fusion_core.settings import FuseArchiveSettings

if TYPE_CHECKING:  # with Prefect's whole import
    from flows.summaries.dry_run import DryRun
    from flows.summaries.run import RunSummary
    from flows.summaries.skipped import SkippedRun

_FUSING = ("fusion_core.jobs.fusion_worker", "fusion_core.models.fuser")
"""What a worker that fuses loads, and torch with it."""


def fuse(settings: FuseArchiveSettings) -> RunSummary | DryRun | SkippedRun:
    """Call the flow ``fuse-archive``; see there.

    A local Ray is started although nobody knows yet whether there is work: a night without any ends
    no later for it, since it starts beside Prefect, and with work it saves as long.
    """
    server_ready = start_server()
    with importing():
        from actors.cluster import starting
    with starting(settings.ray_address, _FUSING):
        with importing():
            from flows.fuse_archive import fuse_archive
        server_ready()
        return fuse_archive(settings)
