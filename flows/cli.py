"""The command line ``fuse-archive``: its options are the settings, field by field."""

from __future__ import annotations

import json
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSettingsSource,
    CliSubCommand,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import (
    SettingsError as CliError,
)

from flows.summaries.listings import plain
from fusion_core.errors import FuseArchiveError
from fusion_core.jobs import EvaluateSettings, ScoreArchiveSettings
from fusion_core.settings import FuseArchiveSettings
from fusion_core.training import AblateSettings, TrainSettings

_NAMED = ("fused", "models")
"""Settings that are given as NAME=VALUE, once for each name."""


class RunCommand(FuseArchiveSettings):
    """Fuse the new pairs of an archive, without a Prefect server of its own."""

    def cli_cmd(self) -> None:
        """Run the flow in this process."""
        from flows.starting import fuse

        _print(fuse(FuseArchiveSettings(**self.model_dump())).markdown())


class ScoreCommand(ScoreArchiveSettings):
    """Score fused images of any method against their sources, and compare the methods."""

    def cli_cmd(self) -> None:
        """Run the flow in this process."""
        from flows.score_archive import score_archive

        settings = ScoreArchiveSettings(**self.model_dump())
        _print(score_archive(settings).markdown())


class TrainCommand(TrainSettings):
    """Train a network on the pairs of an archive, or go on with a training that was stopped."""

    def cli_cmd(self) -> None:
        """Run the flow in this process."""
        from flows.train import train_refinefuse

        settings = TrainSettings(**self.model_dump())
        _print(train_refinefuse(settings).markdown())


class AblateCommand(AblateSettings):
    """Train the variants of an ablation study, and compare them over an evaluation set."""

    def cli_cmd(self) -> None:
        """Run the flow in this process."""
        from flows.ablate import ablate_refinefuse

        settings = AblateSettings(**self.model_dump())
        _print(ablate_refinefuse(settings).markdown())


class EvaluateCommand(EvaluateSettings):
    """Fuse the same pairs with several models, score what they made, and compare the models."""

    def cli_cmd(self) -> None:
        """Run the flow in this process."""
        from flows.evaluate import evaluate

        settings = EvaluateSettings(**self.model_dump())
        _print(evaluate(settings).markdown())


class DemoCommand(BaseModel):
    """Generate a small archive and fuse it: the whole job in a minute or two."""

    folder: str = Field("demo-archive", description="Where the archive and its output go.")
    pairs: int = Field(24, ge=1, description="Number of pairs to generate.")
    seed: int = Field(7, description="Seed of the scenes.")

    def cli_cmd(self) -> None:
        """Generate and fuse."""
        from flows.demo import run_demo

        _print(run_demo(self.folder, self.pairs, self.seed))


class _OutputCommand(BaseModel):
    output: str = Field(description="Folder or bucket that runs write to: any fsspec URL.")
    credentials_block: str | None = Field(
        None,
        description="Name of a Prefect Secret block with the storage options, as for run.",
    )


class CheckCommand(_OutputCommand):
    """Look for all that must not be in an output; ends with 1 where there is any."""

    deep: bool = Field(False, description="Read every image, and compare its sha256.")

    def cli_cmd(self) -> None:
        """Look, and say what was found."""
        from flows.keeping import check_output

        text, found = check_output(self.output, self.credentials_block, deep=self.deep)
        _print(text)
        sys.exit(int(found))


class CleanCommand(_OutputCommand):
    """Tell what nobody needs any more in an output, and remove it with --yes."""

    kinds: str = Field(
        "",
        description="What to look at, with commas: images, runs, commits, leases, index, "
        "temporaries, superseded. Default: all but superseded, which are images and rows whose "
        "pair was fused again by the same method: from other files, or by other settings or "
        "another model.",
    )
    days: float = Field(
        30.0,
        ge=0.0,
        description="Folders of runs, and commits, stay for so many days, and images for so many "
        "since they were superseded.",
    )
    forget: str | None = Field(
        None,
        description="Remove all that there is of these pairs instead, and search for what is left: "
        "ids with commas, or @FILE with one on each line.",
    )
    yes: bool = Field(False, description="Remove it. Default: only tell.")

    def cli_cmd(self) -> None:
        """Tell, or remove."""
        from flows.keeping import clean_output, forget_pairs, read_pairs

        where = self.output, self.credentials_block
        if self.forget is None:
            kinds = [kind.strip() for kind in self.kinds.split(",") if kind.strip()]
            _print(clean_output(*where, kinds=kinds, days=self.days, really=self.yes))
            return
        text, well = forget_pairs(*where, read_pairs(self.forget), really=self.yes)
        _print(text)
        sys.exit(int(not well))


class IndexCommand(_OutputCommand):
    """Make the index by which runs plan anew from the manifest."""

    def cli_cmd(self) -> None:
        """Make it."""
        from flows.keeping import rebuild_index

        _print(rebuild_index(self.output, self.credentials_block))


class FuseArchive(BaseSettings):
    """Fuses archives of infrared and visible image pairs, scores them, and keeps a manifest."""

    model_config = SettingsConfigDict(
        cli_prog_name="fuse-archive", cli_kebab_case=True, cli_implicit_flags=True
    )

    run: CliSubCommand[RunCommand] = Field(description="Fuse the new pairs of an archive.")
    score: CliSubCommand[ScoreCommand] = Field(
        description="Score fused images of any method, and compare the methods."
    )
    train: CliSubCommand[TrainCommand] = Field(
        description="Train a network on the pairs of an archive."
    )
    ablate: CliSubCommand[AblateCommand] = Field(
        description="Train the variants of an ablation study, and compare them."
    )
    evaluate: CliSubCommand[EvaluateCommand] = Field(
        description="Fuse with several models, and compare them with published results."
    )
    check: CliSubCommand[CheckCommand] = Field(description="Look for what is wrong in an output.")
    clean: CliSubCommand[CleanCommand] = Field(
        description="Remove what nobody needs any more, or all there is of some pairs."
    )
    index: CliSubCommand[IndexCommand] = Field(description="Make the index of an output anew.")
    demo: CliSubCommand[DemoCommand] = Field(description="Generate a small archive and fuse it.")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *_: Any, **sources: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take nothing from the environment: a run is what its command line says."""
        return (sources["init_settings"],)

    def cli_cmd(self) -> None:
        """Run the subcommand."""
        CliApp.run_subcommand(self)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; exits with 1 where the run failed and 2 where it was called wrongly."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # The default of 20 s is too short for the first start on a busy machine.
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
    # Prefect cancels the flow on SIGTERM and then sends the signal on; without a handler the
    # process would die before it ends its temporary API server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        source = CliSettingsSource[FuseArchive](FuseArchive, parse_args_method=parse_arguments)
        CliApp.run(FuseArchive, cli_args=arguments, cli_settings_source=source)
    except ValidationError as error:
        for problem in error.errors():
            option = "--" + "-".join(str(part) for part in problem["loc"][1:]).replace("_", "-")
            print(f"fuse-archive: {option}: {problem['msg']}", file=sys.stderr)
        sys.exit(2)
    except CliError as error:
        print(f"fuse-archive: {error}", file=sys.stderr)
        sys.exit(2)
    except FuseArchiveError as error:
        print(f"fuse-archive: {type(error).__name__}: {plain(str(error))}", file=sys.stderr)
        sys.exit(1)


def parse_arguments(
    parser: ArgumentParser, words: Sequence[str] | None, namespace: Namespace | None = None
) -> Namespace:
    """Parse a command line, and take what comes as NAME=VALUE together by name.

    Left to itself, pydantic-settings splits such values at commas, drops quotes, and lets a name
    that comes twice replace the first one in silence.

    Args:
        parser: The parser that was made of the settings.
        words: The command line.
        namespace: Where to put the values; a new one by default.

    Raises:
        CliError: A template has no name, or a name comes twice.
    """
    parsed = ArgumentParser.parse_args(parser, words, namespace)
    for destination, given in vars(parsed).items():
        setting = destination.rpartition(".")[2]
        if setting in _NAMED and isinstance(given, list):
            setattr(parsed, destination, json.dumps(by_name(setting, given)))
    return parsed


def by_name(setting: str, given: Sequence[str]) -> dict[str, str]:
    """Return the values of ``--fused`` or ``--models`` by name.

    Args:
        setting: ``fused`` or ``models``.
        given: Each NAME=TEMPLATE or NAME=MODEL; a model may stand alone and is its own name then.

    Raises:
        CliError: A template has no name, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals and setting == "fused":
            raise CliError(
                f"--fused: found {text!r}; expected NAME=TEMPLATE, such as "
                "densefuse='fused_densefuse/{pair}.png'"
            )
        if name in found:
            raise CliError(f"--{setting}: found the name {name!r} twice; expected each name once")
        found[name] = value if equals else name
    return found


def _print(markdown: str) -> None:
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    if console.is_terminal:
        console.print(Markdown(markdown))
    else:
        print(markdown)
