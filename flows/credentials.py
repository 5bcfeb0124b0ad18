"""Reads storage credentials from a Prefect block, again and again so that they stay fresh."""

from __future__ import annotations

import contextvars
import json
import logging
import threading
import time
from typing import Any

from prefect.blocks.system import Secret

from fusion_core.errors import SettingsError

_FRESH_SECONDS = 60.0
log = logging.getLogger(__name__)


def _without_parameters(record: logging.LogRecord) -> bool:
    """Cut refused parameters out of Prefect's log lines: a URL may hold a password."""
    told, found, _ = str(record.msg).partition(": [")
    if found and told.startswith("Parameter validation failed"):
        record.msg = f"{told}; the error that follows names the fields and what was expected"
    return True


logging.getLogger("prefect.flows").addFilter(_without_parameters)


class StorageCredentials:
    """The fsspec storage options to use now; call it to get them.

    The values are in no setting and no representation of this object, so they can't reach a log,
    the manifest or an artifact.

    Several threads may call it. All read by the Prefect server of the one that made it.

    Args:
        block: Name of a Secret block that holds a JSON object; None for the usual AWS chain, which
            s3fs follows and refreshes by itself.
    """

    def __init__(self, block: str | None):
        self._block = block
        self._options: dict[str, Any] = {}
        self._read_at: float | None = None
        self._lock = threading.Lock()
        self._context = contextvars.copy_context()

    def __call__(self) -> dict[str, Any]:
        """Return the storage options; reads the block again once a minute.

        A block that can't be had for a moment, as when the Prefect server restarts, leaves the
        options that were read before.

        Raises:
            SettingsError: There is no such block, or it holds no JSON object.
        """
        if not self._block:
            return self._options
        with self._lock:
            now = time.monotonic()
            if self._read_at is None or now - self._read_at > _FRESH_SECONDS:
                try:
                    self._options = self._context.copy().run(_read_block, self._block)
                except SettingsError:
                    raise
                except Exception as error:
                    if self._read_at is None:
                        raise
                    log.warning(
                        "The block secret/%s can't be read again (%s); the storage options read "
                        "before are used on",
                        self._block,
                        type(error).__name__,
                    )
                self._read_at = now
            return self._options


def _read_block(name: str) -> dict[str, Any]:
    wanted = (
        "expected a Secret block with a JSON object of fsspec storage options, such as "
        '{"key": …, "secret": …, "endpoint_url": …}'
    )
    try:
        value: Any = Secret.load(name).get()  # type: ignore[union-attr]
    except ValueError as error:
        raise SettingsError(f"there is no Prefect block secret/{name}; {wanted}") from error
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            # Without the cause: its text would quote the secret.
            raise SettingsError(f"the block secret/{name} holds no JSON; {wanted}") from None
    if not isinstance(value, dict):
        raise SettingsError(f"the block secret/{name} holds a {type(value).__name__}; {wanted}")
    return value
