"""The commands of ``fuse-archive``: what each is told, and what it does.

A command's own module is loaded when the command is called, so that help loads none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from flows.commandline.printing import Told, Voice
from fusion_core.jobs import EvaluateSettings, ScoreArchiveSettings
from fusion_core.settings import ArchiveSettings, FuseArchiveSettings
from fusion_core.training import AblateSettings, TrainSettings


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    Attributes:
        name: What people type.
        about: What it does, in a sentence.
        settings: What it can be told.
        act: Does it, and returns what came of it, and the exit status.
    """

    name: str
    about: str
    settings: type[BaseModel]
    act: Callable[[Any, Voice], tuple[Told, int]]


class Demo(BaseModel):
    """What the demo can be told."""

    folder: str = Field("demo-archive", description="Where the archive and its output go.")
    pairs: int = Field(24, ge=1, description="Number of pairs to generate.")
    seed: int = Field(7, description="Seed of the scenes.")


class OfOutput(BaseModel):
    """Which output a command looks at."""

    output: str = Field(description="Folder or bucket that runs write to: any fsspec URL.")
    credentials_block: str | None = Field(
        None,
        description="Name of a Prefect Secret block with the storage options, as for run.",
    )


class Check(OfOutput):
    """What check can be told."""

    deep: bool = Field(False, description="Read every image, and compare its sha256.")


class Clean(OfOutput):
    """What clean can be told."""

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


def run(settings: FuseArchiveSettings, _: Voice) -> tuple[Told, int]:
    """Fuse."""
    from flows.starting import FUSING, start

    def load() -> Any:
        from flows.fuse_archive import fuse_archive

        return fuse_archive

    _check(settings)
    return start(settings, load, preloaded=FUSING), 0


def score(settings: ScoreArchiveSettings, _: Voice) -> tuple[Told, int]:
    """Score."""
    from flows.starting import start

    def load() -> Any:
        from flows.score_archive import score_archive

        return score_archive

    _check(settings)
    return start(settings, load), 0


def evaluate(settings: EvaluateSettings, _: Voice) -> tuple[Told, int]:
    """Fuse with several models, and compare."""
    from flows.starting import start

    def load() -> Any:
        from flows.evaluate import evaluate

        return evaluate

    _check(settings)
    return start(settings, load), 0


def train(settings: TrainSettings, _: Voice) -> tuple[Told, int]:
    """Train."""
    from flows.starting import start

    def load() -> Any:
        from flows.train import train_refinefuse

        return train_refinefuse

    _check(settings)
    return start(settings, load), 0


def ablate(settings: AblateSettings, _: Voice) -> tuple[Told, int]:
    """Train the variants of a study, and compare."""
    from flows.starting import start

    def load() -> Any:
        from flows.ablate import ablate_refinefuse

        return ablate_refinefuse

    _check(settings)
    return start(settings, load), 0


def demo(given: Demo, _: Voice) -> tuple[Told, int]:
    """Generate an archive, and fuse it."""
    from flows.demo import run_demo

    return run_demo(given.folder, given.pairs, given.seed), 0


def check(given: Check, _: Voice) -> tuple[Told, int]:
    """Look for what must not be there."""
    from flows.keeping import check_output

    found = check_output(given.output, given.credentials_block, deep=given.deep)
    return found, int(not found.well)


def clean(given: Clean, _: Voice) -> tuple[Told, int]:
    """Tell what may go, or remove it."""
    from flows.keeping import clean_output, forget_pairs, read_pairs

    where = given.output, given.credentials_block
    if given.forget is None:
        kinds = [kind.strip() for kind in given.kinds.split(",") if kind.strip()]
        return clean_output(*where, kinds=kinds, days=given.days, really=given.yes), 0
    found = forget_pairs(*where, read_pairs(given.forget), really=given.yes)
    return found, int(not found.well)


def index(given: OfOutput, _: Voice) -> tuple[Told, int]:
    """Make the index anew."""
    from flows.keeping import rebuild_index

    return rebuild_index(given.output, given.credentials_block), 0


COMMANDS: dict[str, tuple[Command, ...]] = {
    "Work": (
        Command("run", "Fuse the new pairs of an archive.", FuseArchiveSettings, run),
        Command(
            "score",
            "Score fused images of any method, and compare the methods.",
            ScoreArchiveSettings,
            score,
        ),
        Command(
            "evaluate",
            "Fuse with several models, and compare them with published results.",
            EvaluateSettings,
            evaluate,
        ),
        Command("demo", "Generate a small archive and fuse it.", Demo, demo),
    ),
    "Training": (
        Command("train", "Train a network on the pairs of an archive.", TrainSettings, train),
        Command(
            "ablate",
            "Train the variants of an ablation study, and compare them.",
            AblateSettings,
            ablate,
        ),
    ),
    "Housekeeping": (
        Command(
            "check",
            "Look for what is wrong in an output; exits with 1 if anything is.",
            Check,
            check,
        ),
        Command(
            "clean",
            "Tell what nobody needs any more, and remove it with --yes.",
            Clean,
            clean,
        ),
        Command("index", "Make the index of an output anew.", OfOutput, index),
    ),
}
"""All commands, by the heading that they stand under."""


def _check(settings: ArchiveSettings) -> None:
    from flows.commandline.preflight import check_start

    check_start(settings)
