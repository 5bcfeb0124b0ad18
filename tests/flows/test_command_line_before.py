"""The command lines of version 0.1.0 are still taken, under the names that they were written in."""

import itertools
import re
import warnings

import pytest
from version_before import LEFT

from flows.cli import main

LINES = [line.split() for line in (LEFT / "command_line_0_1_0.txt").read_text().splitlines()]
OPTIONS = {
    command: [option for _, option in lines if option not in ("-h", "--help")]
    for command, lines in itertools.groupby(LINES, key=lambda line: line[0])
}
# These take no value.
SWITCHES = re.compile(r"--(no-.*|dry-run|network\.(sfim|psim|fim))")
# These take NAME=TEMPLATE or NAME=MODEL before anything else is looked at.
VALUES = {"--fused": "name={pair}.png", "--models": "name=mean"}
# These take one of some words.
VALUES |= {"--reprocess": "all", "--size-mismatch": "error", "--scaling": "auto", "--stac": "none"}
VALUES |= {"--resampling": "cubic", "--compression": "none", "--format": "png", "--seed": "1"}
VALUES |= {"--precision": "auto", "--preset": "paper", "--optimiser": "sgd", "--study": "losses"}
VALUES |= {"--convention": "published", "--schedule": "cosine", "--loss.intensity": "max"}
UNKNOWN = "--no-such-option"


def words(option: str) -> list[str]:
    return [option] if SWITCHES.fullmatch(option) else [option, VALUES.get(option, "1")]


def refused(
    command: str, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> tuple[str, list[str]]:
    """Return what is said of arguments, and those words among them that are unknown.

    One that no version knows keeps the command from being run.
    """
    with warnings.catch_warnings():
        # An option may have got another name, and say so.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        with pytest.raises(SystemExit, match="2"):
            main([command, *arguments, f"{UNKNOWN}=1"])
    told = capsys.readouterr().err
    return told, re.findall(r"Unknown option: (\S+)\.", told)


def test_every_subcommand_and_option_was_noted() -> None:
    assert [*OPTIONS] == ["run", "score", "train", "ablate", "evaluate", "demo"]
    assert sum(len(options) for options in OPTIONS.values()) == 228
    assert {"--source", "--dry-run", "--no-dry-run", "--model-sha256"} <= {*OPTIONS["run"]}


@pytest.mark.parametrize("command", [*OPTIONS])
def test_every_option_of_before_is_taken(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [word for option in OPTIONS[command] for word in words(option)]
    told, unknown = refused(command, arguments, capsys)
    assert unknown == [UNKNOWN], told


def test_an_option_that_is_gone_would_be_found(capsys: pytest.CaptureFixture[str]) -> None:
    places = ["--source", "a", "--output", "b"]
    _, unknown = refused("run", [*places, "--limit", "1", "--no-longer-there", "1"], capsys)
    assert "--no-longer-there" in unknown
    told, unknown = refused("run", [*places, "--limits", "1"], capsys)
    assert "--limits" in unknown
    assert "Did you mean --limit?" in told
    told, _ = refused("no-longer-there", [], capsys)
    assert 'Unknown command "no-longer-there"' in told
