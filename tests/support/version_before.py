"""A copy of what version 0.1.0 left, and the settings that its runs had."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMPATIBILITY = Path(__file__).resolve().parents[1] / "fusion_core/compatibility"
LEFT = COMPATIBILITY / "version_0_1_0"
DAY = "2026-11-20"
LAPLACIAN_HASH = "8147060f85c82bf2"
DEFAULT_HASH = "92292d2e1821d273"


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
