"""The commands that do work by a flow: each looks first, then starts what the flow needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from flows.commandline.command import Command, Told
from fusion_core.jobs import DetectSettings, EvaluateSettings, ScoreArchiveSettings
from fusion_core.settings import ArchiveSettings, FuseArchiveSettings
from fusion_core.training import AblateSettings, TrainSettings

Settings = TypeVar("Settings", bound=ArchiveSettings)


class Demo(BaseModel):
    """What the demo can be told."""

    folder: str = Field("demo-archive", description="Where the archive and its output go.")
    pairs: int = Field(24, ge=1, description="Number of pairs to generate.")
    seed: int = Field(7, description="Seed of the scenes.")


def run(settings: FuseArchiveSettings) -> tuple[Told, int]:
    """Fuse the new pairs."""
    from flows.starting import FUSING

    def load() -> Callable[[FuseArchiveSettings], Told]:
        from flows.fuse_archive import fuse_archive

        return fuse_archive

    return _started(settings, load, preloaded=FUSING)


def score(settings: ScoreArchiveSettings) -> tuple[Told, int]:
    """Score fused images."""

    def load() -> Callable[[ScoreArchiveSettings], Told]:
        from flows.score_archive import score_archive

        return score_archive

    return _started(settings, load)


def detect(settings: DetectSettings) -> tuple[Told, int]:
    """Look for things in images by a detector."""

    def load() -> Callable[[DetectSettings], Told]:
        from flows.detect import detect_archive

        return detect_archive

    return _started(settings, load)


def evaluate(settings: EvaluateSettings) -> tuple[Told, int]:
    """Fuse with several models, and compare."""

    def load() -> Callable[[EvaluateSettings], Told]:
        from flows.evaluate import evaluate

        return evaluate

    return _started(settings, load)


def train(settings: TrainSettings) -> tuple[Told, int]:
    """Train a network."""

    def load() -> Callable[[TrainSettings], Told]:
        from flows.train import train_refinefuse

        return train_refinefuse

    return _started(settings, load)


def ablate(settings: AblateSettings) -> tuple[Told, int]:
    """Train the variants of a study, and compare."""

    def load() -> Callable[[AblateSettings], Told]:
        from flows.ablate import ablate_refinefuse

        return ablate_refinefuse

    return _started(settings, load)


def demo(given: Demo) -> tuple[Told, int]:
    """Generate an archive, and fuse it."""
    from flows.demo import run_demo

    return run_demo(given.folder, given.pairs, given.seed), 0


def _started(
    settings: Settings,
    load: Callable[[], Callable[[Settings], Any]],
    *,
    preloaded: Sequence[str] | None = None,
) -> tuple[Told, int]:
    from flows.commandline.preflight import check_start
    from flows.starting import start

    check_start(settings)
    return start(settings, load, preloaded=preloaded), 0


RUN = Command("run", "Fuse the new pairs of an archive.", FuseArchiveSettings, run)

WORK = (
    RUN,
    Command(
        "score",
        "Score fused images of any method, and compare the methods.",
        ScoreArchiveSettings,
        score,
    ),
    Command(
        "detect",
        "Run a detector over images of any method, and compare the methods.",
        DetectSettings,
        detect,
    ),
    Command(
        "evaluate",
        "Fuse with several models, and compare them with published results.",
        EvaluateSettings,
        evaluate,
    ),
    Command("demo", "Generate a small archive and fuse it.", Demo, demo),
)

TRAINING = (
    Command("train", "Train a network on the pairs of an archive.", TrainSettings, train),
    Command(
        "ablate",
        "Train the variants of an ablation study, and compare them.",
        AblateSettings,
        ablate,
    ),
)
