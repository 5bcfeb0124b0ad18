"""Calls the command line as people do, in this process."""

import pytest

from flows.cli import main


def called(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Return the exit status and what was printed."""
    try:
        main([*words])
    except SystemExit as ended:
        return int(str(ended.code)), capsys.readouterr().out
    return 0, capsys.readouterr().out
