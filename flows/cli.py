"""The command line ``fuse-archive``: runs a command, and ends as its caller expects.

Little is imported before signals are heeded, for what follows takes a second to load.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_KEPT = "what was done is kept, and the next run goes on"


class Ended(BaseException):
    """A signal that ends the command; no ``except Exception`` on the way holds it up."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    It exits with 1 where the run failed, 2 where it was called wrongly, and 130 or 143 where Ctrl-C
    or SIGTERM ended it. What it ends with is the last thing on stderr, in one to three lines.
    """
    # Prefect cancels the flow on SIGTERM and then sends the signal on; without a handler the
    # process would die before it ends its temporary API server.
    signal.signal(signal.SIGTERM, _end_by_signal)
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    try:
        with _lost_signals_sent_again():
            _run(words)
    except KeyboardInterrupt:
        _end_at_once(signal.SIGINT, f"interrupted; {_KEPT}")
    except Ended:
        _end_at_once(signal.SIGTERM, f"ended by SIGTERM; {_KEPT}")


def _run(words: list[str]) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # The default of 20 s is too short for the first start on a busy machine.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")

    from cyclopts import CycloptsError

    from flows.commandline.application import PROGRAM, application, print_usage
    from flows.commandline.options import UsageError
    from fusion_core.errors import FuseArchiveError

    verbose = "--verbose" in words
    app = application()
    try:
        if not words:
            print_usage(app)
            sys.exit(2)
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except (CycloptsError, UsageError) as error:
        called = f"{PROGRAM} {words[0]}" if words[0] in app else PROGRAM
        _end(2, f"{error}", f"see {called} --help")
    except FuseArchiveError as error:
        _fail(f"{type(error).__name__}: {error}", verbose=verbose)
    except Exception as error:
        hint = "this is a fault of fuse-archive: --verbose shows where, for a report"
        _fail(f"{type(error).__name__}: {error}", "" if verbose else hint, verbose=verbose)


def _end_by_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise Ended


@contextmanager
def _lost_signals_sent_again() -> Iterator[None]:
    """Heed also a signal that comes where nothing can be raised.

    Python tells of such an exception and goes on: in finalizers, and while compiled modules load.
    """
    before = sys.unraisablehook

    def lost(told: UnraisableHookArgs) -> None:
        for kind, number in ((KeyboardInterrupt, signal.SIGINT), (Ended, signal.SIGTERM)):
            if issubclass(told.exc_type, kind):
                warnings.simplefilter("ignore")  # what has lost it may complain
                again = threading.Timer(0.1, os.kill, (os.getpid(), number))
                again.daemon = True
                again.start()
                return
        before(told)

    sys.unraisablehook = lost
    try:
        yield
    finally:
        sys.unraisablehook = before


def _end_at_once(number: int, line: str) -> NoReturn:
    """End without another import: the signal may have come in the middle of one."""
    sys.stdout.flush()
    print(f"fuse-archive: {line}", file=sys.stderr, flush=True)
    sys.exit(128 + number)


def _fail(*lines: str, verbose: bool) -> NoReturn:
    if verbose:
        traceback.print_exc()
    _end(1, *lines)


def _end(status: int, *lines: str) -> NoReturn:
    from flows.commandline.printing import print_error

    print_error("\n".join(filter(None, lines)))
    sys.exit(status)
