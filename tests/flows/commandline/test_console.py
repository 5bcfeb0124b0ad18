"""What Prefect logs of a run, as a terminal shows it."""

import io
import logging
import sys

import pytest

from flows.commandline.console import Console
from fusion_core.errors import StorageError


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(shown: io.StringIO) -> Console:
    return Console(stream=shown)


def record(
    message: str, *, level: int = logging.ERROR, module: str = "flow_engine", error: bool = False
) -> logging.LogRecord:
    seen = None
    if error:
        try:
            raise StorageError("there is no such bucket")
        except StorageError:
            seen = sys.exc_info()
    path = f"/somewhere/{module}.py"
    return logging.LogRecord("prefect.flow_runs", level, path, 1, message, (), seen)


def test_an_error_that_the_command_ends_with_is_not_shown_before(
    console: Console, shown: io.StringIO
) -> None:
    console.emit(record("Encountered exception during execution", error=True))
    console.emit(record("Crash detected!"))
    console.emit(record("Finished in state Failed()", level=logging.INFO))
    assert shown.getvalue() == ""


def test_what_a_run_says_itself_is_shown(console: Console, shown: io.StringIO) -> None:
    console.emit(record("a worker died", level=logging.WARNING, module="chunks"))
    console.emit(record("a part can't be read", module="chunks"))
    assert shown.getvalue().splitlines() == ["a worker died", "a part can't be read"]


def test_all_is_shown_where_all_is_asked_for(
    console: Console, shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("prefect"), "level", logging.DEBUG)
    logging.getLogger("prefect").manager._clear_cache()  # type: ignore[attr-defined]
    console.emit(record("Encountered exception during execution", error=True))
    assert "Traceback" in shown.getvalue()
    logging.getLogger("prefect").manager._clear_cache()  # type: ignore[attr-defined]
