"""Small files that once came out wrong, beside the repository, and what a worker makes of them."""

import csv
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from scene_fixture import SceneFixture
from tiny import listed_pair

from fusion_core.archive.plan import PairRef
from fusion_core.models.fuser import load_fuser

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


class Case:
    """A case's files in an archive of their own.

    Args:
        name: Its folder.
        folder: Where the archive goes.
        settings: The run's settings.
    """

    def __init__(self, name: str, folder: Path, **settings: Any):
        files = CASES / name
        if not files.is_dir():
            pytest.skip(f"the files of the case {name} are not beside the repository")
        shutil.copytree(files / "src", folder / "source")
        model = settings.pop("model", "mean")
        self.fixture = SceneFixture(folder, fuser=load_fuser(model, "cpu"), **settings)
        self.listed = {row["path"]: row for row in self.fixture.source.list().to_pylist()}
        self.pairs = {}
        if (files / "index.csv").exists():
            with (files / "index.csv").open() as index:
                rows = list(csv.DictReader(index))
            self.pairs = {row["pair_id"]: (row["ir"], row["vi"]) for row in rows}

    def ref(self, name: str) -> PairRef:
        """Return one of the case's pairs."""
        return listed_pair(name, *(self.listed[path] for path in self.pairs[name]))

    def rows(self, *names: str) -> list[dict[str, Any]]:
        """Fuse pairs of the case, and return their rows."""
        return self.fixture.fuse(*map(self.ref, names))

    def row(self, name: str) -> dict[str, Any]:
        """Fuse a pair of the case that must succeed."""
        (row,) = self.rows(name)
        assert row["status"] == "ok", row["error_message"]
        return row

    def fused(self, row: dict[str, Any]) -> np.ndarray:
        """Return a fused image as it is stored, (N, H, W)."""
        with rasterio.open(row["fused_url"]) as dataset:
            return dataset.read()

    def source(self, path: str) -> np.ndarray:
        """Return a source file as GDAL shows it, (N, H, W)."""
        with rasterio.open(self.fixture.folder / "source" / path) as dataset:
            return dataset.read()
