"""Writes logs as JSON: one object a line on the error stream, with run, chunk and pair."""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fusion_core.settings import LogFormat

_FIELDS = ("chunk", "pair_id", "host", "worker_logger", "flow_run_id", "task_run_id")
"""What a record may bear beside what all have; other attributes may be anything."""


class JsonFormatter(logging.Formatter):
    """Turns a record into a line of JSON.

    Attributes:
        run_id: The run; None before it has an id.
    """

    run_id: str | None = None

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what isn't known is left out."""
        line = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "run_id": self.run_id,
            **{name: getattr(record, name, None) for name in _FIELDS},
            "traceback": self.formatException(record.exc_info) if record.exc_info else None,
        }
        told = {name: value for name, value in line.items() if value is not None}
        return json.dumps(told, default=str, ensure_ascii=False)


_Placed = tuple[logging.Logger, logging.Handler]
_formatter: JsonFormatter | None = None
"""What formats this process's logs, while they are JSON."""


def name_run(run_id: str) -> None:
    """Have all lines bear a run's id from here on, where they are JSON."""
    if _formatter is not None:
        _formatter.run_id = run_id


@contextmanager
def logs_as(form: LogFormat) -> Iterator[None]:
    """Have logs and Python's warnings in a format during the block.

    Whatever writes logs to the error stream writes JSON there instead; what goes elsewhere, such as
    to Prefect, goes there as before. Inside of such a block another one changes nothing.

    Args:
        form: ``json``, or ``text`` for as they are.
    """
    global _formatter
    if form == "text" or _formatter is not None:
        yield
        return
    _formatter = JsonFormatter()
    replaced = _on_error_stream()
    writers: list[_Placed] = []
    for logger in {logging.getLogger(), *(logger for logger, _ in replaced)}:
        writer = logging.StreamHandler(sys.stderr)
        writer.setFormatter(_formatter)
        writers.append((logger, writer))
    _exchange(replaced, writers)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        _exchange(writers, replaced)
        _formatter = None


def _exchange(old: Sequence[_Placed], new: Sequence[_Placed]) -> None:
    for logger, handler in old:
        logger.removeHandler(handler)
    for logger, handler in new:
        logger.addHandler(handler)


def _on_error_stream() -> list[_Placed]:
    """Return the handlers that write there, each with its logger."""
    known = [logging.getLogger(), *logging.root.manager.loggerDict.values()]
    return [
        (logger, handler)
        for logger in known
        if isinstance(logger, logging.Logger)  # a name that nobody asked for yet has none
        for handler in logger.handlers
        if getattr(handler, "stream", None) in (sys.stderr, sys.__stderr__)
    ]
