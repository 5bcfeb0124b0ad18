"""The command line's application: its options are the settings, field by field."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from rich.console import Console

from flows.commandline.command import Command
from flows.commandline.commands import COMMANDS
from flows.commandline.options import parameters, settings_of
from flows.commandline.printing import Voice
from fusion_core import __version__

PROGRAM = "fuse-archive"

_ABOUT = "Fuses archives of infrared and visible image pairs, scores them, and keeps a manifest."
_OUTPUT = Group("Output", help="What is printed.", sort_key=1000)
_VOICE = {
    "quiet": ("--quiet", "Nothing but warnings, errors, and one sentence at the end."),
    "verbose": ("--verbose", "Also tracebacks, and what is of use in looking for faults."),
    "json_object": ("--json", "One JSON object on stdout; logs go to stderr as ever."),
}


def application() -> App:
    """Return the application, with all of its commands."""
    app = App(
        name=PROGRAM,
        version=__version__,
        help=_ABOUT,
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    app.register_install_completion_command()
    for number, (heading, commands) in enumerate(COMMANDS.items()):
        group = Group(heading, sort_key=number)
        for place, command in enumerate(commands):
            app.command(_callable(command), name=command.name, group=group, sort_key=place)
    return app


def print_usage(app: App) -> None:
    """Print on stderr what commands there are."""
    app.help_print(console=Console(stderr=True))


def _callable(command: Command) -> Callable[..., None]:
    """Return a function with one parameter for each setting, as cyclopts wants commands."""

    def called(*given: str, **options: Any) -> None:
        voice = Voice(**{name: options.pop(name, None) or False for name in _VOICE})
        words = {one.name: given for one in own if one.kind is one.VAR_POSITIONAL}
        settings = settings_of(command.settings, options | words)
        voice.set_up()
        told, status = command.act(settings)
        voice.tell(told)
        if status:
            sys.exit(status)

    own = parameters(command.settings)
    said = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                bool | None,
                Parameter(name=option, help=about, group=_OUTPUT, negative=(), show_default=False),
            ],
        )
        for name, (option, about) in _VOICE.items()
    ]
    called.__signature__ = inspect.Signature([*own, *said])  # type: ignore[attr-defined]
    called.__name__, called.__doc__ = command.name, command.about
    return called
