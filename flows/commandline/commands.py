"""The commands of ``fuse-archive``, by the heading that they stand under."""

from __future__ import annotations

from flows.commandline.command import Command
from flows.commandline.deploying import DEPLOYING
from flows.commandline.desk import DESK
from flows.commandline.housekeeping import HOUSEKEEPING
from flows.commandline.work import TRAINING, WORK

COMMANDS: dict[str, tuple[Command, ...]] = {
    "Work": WORK,
    "Desk": DESK,
    "Schedule": DEPLOYING,
    "Housekeeping": HOUSEKEEPING,
    "Training": TRAINING,
}
"""All commands."""
