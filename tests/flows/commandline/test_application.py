"""What the command line says of itself, of a run, and of a word that it doesn't know."""

import os
import re

import pytest
from command_line import given_to_flow

import fusion_core
from flows.cli import main
from fusion_core.settings import FuseArchiveSettings

PLACES = ["run", "--source", "a", "--output", "b"]


def test_a_run_is_told_as_markdown_as_json_or_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PREFECT_LOGGING_LEVEL", "PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS"):
        monkeypatch.setenv(name, "")
    for option, told in (
        ([], "the table\n"),
        (["--json"], '{"found":3}\n'),
        (["--quiet"], "3 pairs found.\n"),
    ):
        given_to_flow(monkeypatch, *PLACES, *option)
        assert capsys.readouterr().out == told
    assert os.environ["PREFECT_LOGGING_LEVEL"] == "WARNING"


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--version"])
    assert capsys.readouterr().out.strip() == fusion_core.__version__


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["rum"], 'Unknown command "rum". Did you mean "run"?'),
        (["run", "--sorce", "a"], "Did you mean --source instead of --sorce?"),
        (["run", "--source", "a", "--output", "b", "--formt", "png"], "Did you mean --format?"),
        (["run", "--source", "a", "--output", "b", "--format", "pgn"], 'Did you mean "png"?'),
    ],
)
def test_a_mistyped_word_is_told_with_what_was_meant(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)
    told = capsys.readouterr().err
    assert meant in told
    assert len(told.splitlines()) == 2


def test_help_shows_groups_and_required_options_first(capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", "--help"])
    told = capsys.readouterr().out
    groups = ["Where", "Pairs", "What", "Scenes and deep images", "Storage", "Machines", "Run"]
    places = [told.index(f"─ {name} ─") for name in groups]
    assert places == sorted(places)
    assert told.index("--source") < told.index("--output") < places[1]
    assert "--ir-range LOW HIGH" in told
    assert "tuple" not in told
    assert "{" not in re.sub(r"\{(pair|name|date|camera)", "", told)


def test_an_option_that_comes_again_replaces_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    again = ["--limit", "3", "--dry-run", "--limit", "4", "--no-dry-run"]
    settings: FuseArchiveSettings = given_to_flow(monkeypatch, *PLACES, *again)
    assert (settings.limit, settings.dry_run) == (4, False)


def test_a_fault_of_ours_is_said_in_two_lines_and_shown_where_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flows.commandline.preflight.check_start", lambda _: 1 / 0)
    for option, lines in ([], 2), (["--verbose"], 20):
        with pytest.raises(SystemExit, match="1"):
            main(["run", "--source", "a", "--output", "b", *option])
        told = capsys.readouterr().err.splitlines()
        assert ("Traceback (most recent call last):" in told) == bool(option)
        assert len(told) <= lines if not option else len(told) > 5
        assert any("ZeroDivisionError: division by zero" in line for line in told[-2:])
