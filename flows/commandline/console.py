"""Shows Prefect's logs in a terminal, without the tracebacks of errors that say all by themselves.

Prefect loads this by its name: the command line puts it into Prefect's logging settings.
"""

from __future__ import annotations

import logging

from prefect.logging.handlers import PrefectConsoleHandler

from fusion_core.errors import FuseArchiveError

_ENDS = (FuseArchiveError, KeyboardInterrupt, SystemExit)


class Console(PrefectConsoleHandler):
    """Prefect's own handler, but for what the command says itself as its last words.

    An error of ours, or an interrupt, is logged by Prefect at each task and flow that it passes,
    with a traceback each time. Whoever wants those asks for ``--verbose``.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Show a record, unless it repeats an error that the command ends with."""
        if logging.getLogger("prefect").isEnabledFor(logging.DEBUG) or not _repeats(record):
            super().emit(record)


def _repeats(record: logging.LogRecord) -> bool:
    of_a_run = record.name in ("prefect.flow_runs", "prefect.task_runs")
    if of_a_run and record.exc_info and isinstance(record.exc_info[1], _ENDS):
        return True
    # The engine's own words on how each task and flow ended, which the command says in its own.
    of_engine = of_a_run and record.module.endswith("engine")
    ended = str(record.msg).startswith("Finished in state")
    return of_engine and (ended or record.levelno >= logging.ERROR)
