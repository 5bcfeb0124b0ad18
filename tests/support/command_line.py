"""Calls the command line as people do, in this process."""

from typing import Any

import pytest
from pydantic import BaseModel

from flows.cli import main
from fusion_core.settings import ArchiveSettings


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Return the exit status and what was printed."""
    try:
        main([*words])
    except SystemExit as ended:
        return int(str(ended.code)), capsys.readouterr().out
    return 0, capsys.readouterr().out


class Outcome(BaseModel):
    """What a flow returns that only notes its settings."""

    found: int = 3

    def markdown(self) -> str:
        return "the table"

    def sentence(self) -> str:
        return "3 pairs found."


def given_to_flow(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """Return the settings that a command gives to its flow, which lies at no real place."""
    given = []

    def start(settings: ArchiveSettings, *_: Any, **__: Any) -> Outcome:
        given.append(settings)
        return Outcome()

    monkeypatch.setattr("flows.starting.start", start)
    monkeypatch.setattr("flows.commandline.preflight.check_start", lambda _: None)
    main([*words])
    return given[0]
