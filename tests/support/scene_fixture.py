"""An archive of scenes and a worker for it, as the tests of fused scenes need them."""

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from generated_scenes import scene_bands, write_raster
from numpy.typing import NDArray
from tiny import TODAY, listed_pair, tiny_fuser

from fusion_core.archive.layout import part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, PairRef
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.scenes.pair import ScenePair, open_scene
from fusion_core.scenes.raster import Raster, gdal_settings, open_raster
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

SIZE = (72, 88)

LAEA = (
    'PROJCS["local equal area",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,'
    '298.257223563]],PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],'
    'PROJECTION["Lambert_Azimuthal_Equal_Area"],PARAMETER["latitude_of_center",12.5],'
    'PARAMETER["longitude_of_center",101.25],PARAMETER["false_easting",1000],'
    'PARAMETER["false_northing",0],UNIT["metre",1]]'
)


def two_files(folder: Path, ir: Path, vi: Path) -> PairRef:
    """Return a pair of two files below ``folder`` with what a listing says of them."""
    listing = {row["path"]: row for row in Storage(str(folder)).list().to_pylist()}
    sides = (listing[str(path.relative_to(folder))] for path in (ir, vi))
    return listed_pair(vi.stem, *sides)


@contextmanager
def opened(path: Path) -> Iterator[Raster]:
    """A raster of this machine, opened as a scene's files are."""
    storage = Storage(str(path.parent))
    (row,) = storage.list(path.name).to_pylist()
    file = row["path"], row["bytes"], row["version"]
    with gdal_settings(64), open_raster(storage, *file) as raster:
        yield raster


@contextmanager
def opened_scene(
    folder: Path, ir: Path, vi: Path, settings: FuseArchiveSettings
) -> Iterator[ScenePair]:
    """A pair of files of this machine, opened as a scene."""
    ref = two_files(folder, ir, vi)
    with (
        gdal_settings(64),
        tempfile.TemporaryDirectory() as copies,
        open_scene(
            Storage(str(folder)), ref, settings, folder=Path(copies), max_megapixels=100
        ) as scene,
    ):
        yield scene


class SceneFixture:
    """An archive below a folder, and what a worker makes of its pairs.

    Args:
        folder: A folder of this machine.
        output: URL of the output; a folder beside the source unless given.
        fuser: What fuses; a tiny network unless given.
        changes: Further fields of the settings.
    """

    def __init__(self, folder: Path, output: str = "", fuser: Any = None, **changes: Any):
        self.folder = folder
        fields = {"source": f"{folder}/source", "output": output or f"{folder}/output"}
        gentle = {"precision": "fp32", "io_threads": 1}
        self.settings = FuseArchiveSettings(**{**fields, **gentle, **changes})
        self.source, self.output = Storage(self.settings.source), Storage(self.settings.output)
        self.fuser = fuser or tiny_fuser()

    def path(self, side: str, name: str) -> Path:
        return self.folder / "source" / side / f"{name}.tif"

    def put(
        self,
        name: str,
        ir: NDArray[Any] | None = None,
        vi: NDArray[Any] | None = None,
        ir_profile: Mapping[str, Any] | None = None,
        **profile: Any,
    ) -> None:
        """Write a pair; the profile is the visible scene's, and the infrared's where not given."""
        default = scene_bands(3, SIZE, bands=1, nodata=None)
        write_raster(self.path("ir", name), default[0] if ir is None else ir, **(ir_profile or {}))
        write_raster(self.path("vi", name), default[1] if vi is None else vi, **profile)

    def put_bytes(self, side: str, name: str, body: bytes) -> None:
        self.path(side, name).parent.mkdir(parents=True, exist_ok=True)
        self.path(side, name).write_bytes(body)

    def ref(self, name: str) -> PairRef:
        return two_files(self.folder / "source", self.path("ir", name), self.path("vi", name))

    def worker(self) -> FusionWorker:
        digest = self.settings.image_settings().settings_hash()
        run = RunIdentity("first", TODAY, self.fuser.model_hash, digest)
        return FusionWorker(self.source, self.output, self.fuser, self.settings, run)

    def fuse(self, *refs: PairRef) -> list[dict[str, Any]]:
        """Fuse pairs as one chunk and return their rows, in order of their names."""
        part_id = uuid.uuid4().hex
        self.worker().run(Chunk(part_id, refs))
        return list(read_part(self.output, part_path(TODAY, part_id)).to_pylist())

    def fuse_one(self, name: str) -> dict[str, Any]:
        """Fuse a pair that must not fail."""
        (row,) = self.fuse(self.ref(name))
        assert row["status"] == "ok", (row["stage"], row["error_message"])
        return row

    def fused(self) -> list[str]:
        """Paths of all that was written beside the manifest."""
        return list(self.output.list("fused").column("path").to_pylist())


def pixels_of(path: str | Path) -> NDArray[Any]:
    """All bands of a file, (N, H, W)."""
    with rasterio.open(path) as dataset:
        return np.asarray(dataset.read())


def path_of(archive: SceneFixture, row: Mapping[str, Any], column: str = "fused_url") -> str:
    """Return the path below the output of what a row names."""
    return str(row[column].removeprefix(archive.output.url("")).lstrip("/"))
