"""Waits for Ray in short steps, so that signals are noticed meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ray

POLL_SECONDS = 0.5
"""A signal is noticed between polls; a bare ``ray.get`` would hold it back until the answer."""


def wait_any(refs: Sequence[Any]) -> list[Any]:
    """Return the references that are done, or none after ``POLL_SECONDS``."""
    try:
        return list(ray.wait(list(refs), timeout=POLL_SECONDS)[0])
    except SystemError as error:
        # What a signal handler raised (a cancelled flow, Ctrl-C) comes out of Ray's C++ in this.
        if error.__cause__ is not None:
            raise error.__cause__ from None
        raise


def result_of(ref: Any) -> Any:
    """Wait for one reference and return its value, or raise its error."""
    while not wait_any([ref]):
        pass
    return ray.get(ref)
