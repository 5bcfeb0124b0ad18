"""The command line ``fuse-archive``: its options are the settings, field by field."""

from __future__ import annotations

import inspect
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

from cyclopts import App, CycloptsError, Group, Parameter
from rich.console import Console

from flows.commandline.commands import COMMANDS, Command
from flows.commandline.options import UsageError, parameters, settings_of
from flows.commandline.printing import Voice, print_error
from fusion_core import __version__
from fusion_core.errors import FuseArchiveError

PROGRAM = "fuse-archive"

_ABOUT = "Fuses archives of infrared and visible image pairs, scores them, and keeps a manifest."
_OUTPUT = Group("Output", help="What is printed.", sort_key=1000)
_VOICE = {
    "quiet": ("--quiet", "Nothing but warnings, errors, and one sentence at the end."),
    "verbose": ("--verbose", "Also tracebacks, and what is of use in looking for faults."),
    "json_object": ("--json", "One JSON object on stdout; logs go to stderr as ever."),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    It exits with 1 where the run failed, 2 where it was called wrongly, and 130 or 143 where Ctrl-C
    or SIGTERM ended it. What it ends with is the last thing on stderr, in one to three lines.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # The default of 20 s is too short for the first start on a busy machine.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    # Prefect cancels the flow on SIGTERM and then sends the signal on; without a handler the
    # process would die before it ends its temporary API server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    verbose = "--verbose" in words
    app = application()
    try:
        if not words:
            app.help_print(console=Console(stderr=True))
            sys.exit(2)
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, UsageError) as error:
        called = f"{PROGRAM} {words[0]}" if words[0] in app else PROGRAM
        _end(2, f"{error}", f"see {called} --help")
    except FuseArchiveError as error:
        _fail(f"{type(error).__name__}: {error}", verbose=verbose)
    except KeyboardInterrupt:
        _end(128 + signal.SIGINT, "interrupted; what was done is kept, and the next run goes on")
    except SystemExit as ended:
        if ended.code == 128 + signal.SIGTERM:
            print_error("ended by SIGTERM; what was done is kept, and the next run goes on")
        raise
    except Exception as error:
        hint = "this is a fault of fuse-archive: --verbose shows where, for a report"
        _fail(f"{type(error).__name__}: {error}", "" if verbose else hint, verbose=verbose)


def application() -> App:
    """Return the application, with all of its commands."""
    app = App(name=PROGRAM, version=__version__, help=_ABOUT, help_format="plaintext")
    app.register_install_completion_command()
    for number, (heading, commands) in enumerate(COMMANDS.items()):
        group = Group(heading, sort_key=number)
        for place, command in enumerate(commands):
            app.command(_callable(command), name=command.name, group=group, sort_key=place)
    return app


def _callable(command: Command) -> Callable[..., None]:
    """Return a function with one parameter for each setting, as cyclopts wants commands."""

    def called(*given: str, **options: Any) -> None:
        voice = Voice(**{name: options.pop(name, None) or False for name in _VOICE})
        words = {one.name: given for one in own if one.kind is one.VAR_POSITIONAL}
        settings = settings_of(command.settings, options | words)
        voice.set_up()
        told, status = command.act(settings, voice)
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


def _fail(*lines: str, verbose: bool) -> NoReturn:
    if verbose:
        traceback.print_exc()
    _end(1, *lines)


def _end(status: int, *lines: str) -> NoReturn:
    print_error("\n".join(filter(None, lines)))
    sys.exit(status)
