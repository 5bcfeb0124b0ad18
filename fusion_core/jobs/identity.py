"""Which run a row comes from."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class RunIdentity:
    """The identity of a run, which all its rows share.

    Attributes:
        run_id: Names the run.
        date: The run's date.
        model_hash: sha256 of the model that fuses; None where none of ours is at work.
        settings_hash: Digest of the settings that decide pixels or scores.
    """

    run_id: str
    date: dt.date
    model_hash: str | None
    settings_hash: str
