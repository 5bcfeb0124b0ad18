"""A copy of what version 0.1.0 left, the settings that its runs had, and plans to go on by."""

import datetime as dt
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion_core.archive.attempts import ATTEMPT_COLUMNS
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.older import split_by_version
from fusion_core.archive.plan import PAIR_KEY, SCORE_KEY, Plan, make_plan
from fusion_core.jobs.listing import list_fused, list_pairs
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.metrics import METRIC_NAMES
from fusion_core.models.fuser import read_model
from fusion_core.models.model_hash import model_hashes_before
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

COMPATIBILITY = Path(__file__).resolve().parents[1] / "fusion_core/compatibility"
LEFT = COMPATIBILITY / "version_0_1_0"
DAY = "2026-11-20"
LAPLACIAN_HASH = "8147060f85c82bf2"
DEFAULT_HASH = "92292d2e1821d273"
NEW_IN_5 = ["attempt", "cause", "history", "precision", "engine"]
"""Columns that schema version 5 of the manifest brought; 0.1.0 wrote version 4."""
NEW_IN_6 = ["outline"]
NEW_IN_7 = [
    *("frames", "frames_unmatched", "ir_frames_unused", "duration", "frame_rate", "frames_url"),
    *(f"{metric}_{what}" for metric in METRIC_NAMES for what in ("least", "worst_frame")),
    *("registration", "shift_x", "shift_y", "registration_score", "registration_matrix"),
]


@dataclass(frozen=True)
class Left:
    """A copy; see the README beside the original for the runs that made it."""

    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def output(self) -> Path:
        return self.folder / "archive-fused"

    @property
    def places(self) -> dict[str, Any]:
        return {"source": str(self.archive), "output": str(self.output), "date": DAY}

    def defaults(self) -> dict[str, Any]:
        """Settings of the runs with the packaged weights, the first and the last one."""
        return {**self.places, "contact_sheet": 0, "max_failed": 0.5}

    def laplacian(self) -> dict[str, Any]:
        """Settings of the runs of the Laplacian pyramid over photographs and the scene."""
        own = {"model": "laplacian", "png_level": 9, "stac": "catalog", "lease_seconds": 1.0}
        return {**self.defaults(), "ir": "ir/{pair}.*", "vi": "vi/{pair}.*", **own}

    def scoring(self) -> dict[str, Any]:
        hashes = {"refinefuse": DEFAULT_HASH, "laplacian": LAPLACIAN_HASH}
        fused = f"{self.output}/fused/{{}}/{{{{pair}}}}.{{{{digest}}}}.png"
        return {**self.places, "fused": {name: fused.format(one) for name, one in hashes.items()}}

    def evaluating(self) -> dict[str, Any]:
        index = {"index": f"{self.archive}/two.csv", "models": {"mean": "mean"}}
        shown = {"format": "webp", "contact_sheet": 0, "published": "tno"}
        return {**self.places, **index, **shown}

    def training(self, output: Path) -> dict[str, Any]:
        """Settings of the training, into any folder."""
        network = {"levels": 3, "widths": (4, 4, 4), "decoder_width": 4, "token_grid": 4}
        short = {"steps": 60, "batch": 2, "crop": 24, "warmup": 2, "precision": "fp32", "seed": 5}
        saved = {"checkpoint_every": 10, "validate_every": 20, "validation": 1, "worker": "cpu:1"}
        places = {"source": str(self.archive), "output": str(output)}
        index = f"{self.archive}/whole.csv"
        return {**places, "index": index, "network": network, **short, **saved}

    def bytes_of(self, *folders: str) -> dict[str, bytes]:
        """Content of every file below folders of the output, by path."""
        files = (path for name in folders for path in sorted((self.output / name).rglob("*")))
        return {str(path): path.read_bytes() for path in files if path.is_file()}


def restored(folder: Path) -> Left:
    """Copy what was left below ``folder``, as somebody moves an archive and keeps its times.

    The version of a local file is its size and time of change, and a checkout has other times.
    """
    copy = folder / "left"
    shutil.copytree(LEFT, copy)
    for path, time in json.loads((LEFT / "times.json").read_text()).items():
        os.utime(copy / path, ns=(time, time))
    return Left(copy)


def before_schema_5(names: list[str]) -> list[str]:
    return [name for name in names if name not in (*NEW_IN_5, *NEW_IN_6, *NEW_IN_7)]


def planned(settings: FuseArchiveSettings) -> Plan:
    """Plan as the flow does: by the rows of the same model and settings, also as they were."""
    source, output = Storage(settings.source), Storage(settings.output)
    model_hash = read_model(settings.model).model_hash
    images = settings.image_settings()
    rows = read_manifest(
        output.url("manifest"),
        latest=False,
        columns=[*PAIR_KEY, *ATTEMPT_COLUMNS, "settings_hash", "model_hash"],
    )
    own, older = split_by_version(
        rows,
        images.settings_hash(),
        images.hashes_before(),
        model_hash=model_hash,
        models_before=model_hashes_before(settings.model),
    )
    return make_plan(
        list_pairs(settings, source, output, dt.date.fromisoformat(DAY), {}),
        own,
        settings.reprocess,
        older=older,
    )


def planned_scores(settings: ScoreArchiveSettings) -> Plan:
    source, output = Storage(settings.source), Storage(settings.output)
    pairing, images = list_fused(settings, source, output, dt.date.fromisoformat(DAY), {})
    rows = read_manifest(
        output.url("scores"),
        latest=False,
        columns=[*SCORE_KEY, *ATTEMPT_COLUMNS, "settings_hash"],
    )
    own, older = split_by_version(rows, settings.settings_hash(), settings.hashes_before())
    return make_plan(pairing, own, settings.reprocess, None, images.images, older=older)


def todo(plan: Plan) -> list[str]:
    found: list[str] = plan.todo["pair_id"].to_pylist()
    return found
