"""Tells in a run's log what its workers warned of, with chunk and pair, and not without end."""

from __future__ import annotations

import logging

from fusion_core.jobs import ChunkResult, WorkerWarning

_MOST = 500
"""So many warnings of workers are shown in a run; a store of logs is no place for a million."""

Logger = logging.Logger | logging.LoggerAdapter[logging.Logger]


class WarningLog:
    """Tells what workers warned of.

    Args:
        logger: Takes the warnings.
    """

    def __init__(self, logger: Logger):
        self._logger = logger
        self._shown = self._others = 0

    def tell(self, result: ChunkResult) -> None:
        """Tell what a worker warned of beside its work on a chunk."""
        told = result.told
        if told is None or not told.warnings:
            return
        shown = told.warnings[: max(_MOST - self._shown, 0)]
        for warning in shown:
            self._show(warning, told.host)
        self._shown += len(shown)
        hidden = len(told.warnings) - len(shown) + told.more_warnings
        self._others += hidden
        if shown and hidden:
            self._logger.warning(
                "worker on %s: %d more warnings of chunk %s",
                *(told.host, hidden, told.chunk),
                extra={"chunk": told.chunk, "host": told.host},
            )

    def end(self) -> None:
        """Tell how many warnings were not shown."""
        if self._others:
            self._logger.warning(
                "%d warnings of workers are not shown; details.parquet of the run has all pairs "
                "that failed, with their reasons",
                self._others,
            )

    def _show(self, warning: WorkerWarning, host: str) -> None:
        place = f", pair {warning.pair_id}" if warning.pair_id else ""
        place = f"{f', chunk {warning.chunk}' if warning.chunk else ''}{place}"
        message = "\n".join(filter(None, (warning.message, warning.traceback)))
        extra = {"chunk": warning.chunk, "pair_id": warning.pair_id, "host": host}
        extra["worker_logger"] = warning.logger
        self._logger.log(warning.level, "worker on %s%s: %s", host, place, message, extra=extra)
