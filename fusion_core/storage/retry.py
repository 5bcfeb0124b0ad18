"""Repeats calls to a store that fail for a passing reason: with jitter, bounded, and counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from fusion_core.storage.answers import answer_of
from fusion_core.storage.errors import is_transient, is_unanswered

_ATTEMPTS = 12
_LONGEST_WAIT = 10.0
_Result = TypeVar("_Result")
log = logging.getLogger(__name__)


class RetryCount:
    """Counts repeated calls; may be used by several threads."""

    def __init__(self) -> None:
        self.value = 0
        self._lock = threading.Lock()

    def add(self) -> None:
        """Count one more repeated call."""
        with self._lock:
            self.value += 1


_counting: ContextVar[RetryCount | None] = ContextVar("_counting", default=None)


@contextmanager
def counted_by(count: RetryCount | None) -> Iterator[None]:
    """Count in ``count`` what this thread repeats inside the block."""
    token = _counting.set(count)
    try:
        yield
    finally:
        _counting.reset(token)


def current_count() -> RetryCount | None:
    """Return the counter of this thread's block, to be handed to a thread that works for it."""
    return _counting.get()


@dataclass(frozen=True)
class RetryPolicy:
    """How long a call to a store is repeated.

    Attributes:
        seconds: A call isn't repeated later than this after its beginning. A store that gives no
            answer is asked until then.
        attempts: At most so many calls where the store does answer, and what it answers is an
            error that may pass.
    """

    seconds: float
    attempts: int = _ATTEMPTS

    def call(self, what: str, action: Callable[[], _Result]) -> _Result:
        """Run ``action``, again with growing random waits while it fails for a passing reason."""
        count = current_count()

        def tell(state: tenacity.RetryCallState) -> None:
            if count is not None:
                count.add()
            error = _error_of(state)
            answer = answer_of(error) if error else None
            reason = answer.reason if answer else error
            log.debug("could not %s (%r), trying again", what, reason)

        retry = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_transient),
            # Random, so that many workers that failed together don't come back together.
            wait=tenacity.wait_random_exponential(
                multiplier=0.2, max=min(_LONGEST_WAIT, self.seconds / 4)
            ),
            stop=self._is_over,
            before_sleep=tell,
            reraise=True,
        )
        return retry(action)

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        error = _error_of(state)
        unanswered = error is not None and is_unanswered(error)
        too_often = state.attempt_number >= self.attempts and not unanswered
        spent = state.seconds_since_start or 0.0
        return too_often or spent + state.upcoming_sleep > self.seconds


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
