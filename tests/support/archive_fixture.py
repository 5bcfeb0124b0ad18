"""An archive and a worker for it, as the tests of chunks need them."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny import TODAY, pair_refs, tiny_fuser, write_pairs

from fusion_core.archive.index.update import IndexUpdate
from fusion_core.archive.layout import part_path
from fusion_core.archive.lease import acquire
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk
from fusion_core.archive.publisher import Publisher
from fusion_core.images.codecs import decode
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.metrics import METRIC_NAMES, score
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

NAMES = ["a", "b", "c/d", "e"]


def blamed(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what a row that is not ok says of the reason: its status, cause, stage and error."""
    return tuple(row[name] for name in ("status", "cause", "stage", "error_type"))


class ArchiveFixture:
    """An archive of four pairs, and a worker for it."""

    def __init__(self, root: str, **changes: Any):
        fields = {"source": f"{root}/source", "output": f"{root}/output", "precision": "fp32"}
        self.settings = FuseArchiveSettings(**{**fields, "io_threads": 2, **changes})
        write_pairs(self.settings.source, NAMES)
        self.source, self.output = Storage(self.settings.source), Storage(self.settings.output)
        self.fuser = tiny_fuser()
        self.run = self.identity("first")
        self.part = part_path(TODAY, "part")

    def identity(self, run_id: str) -> RunIdentity:
        settings_hash = self.settings.image_settings().settings_hash()
        return RunIdentity(run_id, TODAY, self.fuser.model_hash, settings_hash)

    def worker(self, run_id: str = "first") -> FusionWorker:
        identity = self.identity(run_id)
        return FusionWorker(self.source, self.output, self.fuser, self.settings, identity)

    def chunk(self) -> Chunk:
        return Chunk("part", pair_refs(self.settings.source, NAMES))

    def publish(self, folder: Path) -> None:
        """Fuse and publish the pairs, two by two, and make an index; ``folder`` is for scratch."""
        lease = acquire(lambda: self.output, "run", seconds=60, wait=False)
        publisher = Publisher(lambda: self.output, lease)
        publisher.take_over()
        pairs = self.chunk().pairs
        for name, some in (("0a", pairs[:2]), ("0b", pairs[2:])):
            publisher.declare([part_path(TODAY, name)])
            publisher.committed(self.worker("run").run(Chunk(name, some)).parts)
            publisher.publish()
        publisher.finish()
        IndexUpdate(self.output, "manifest", folder).run(lease.generation)
        lease.release()

    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["pair_id"]: row for row in read_part(self.output, self.part).to_pylist()}

    def images(self) -> dict[str, str]:
        """Versions of the fused images by path."""
        return {row["path"]: row["version"] for row in self.output.list("fused").to_pylist()}

    def check_image(self, row: dict[str, Any]) -> None:
        """Compare an ok row with the image that it names."""
        path = row["fused_url"].removeprefix(self.output.url("")).lstrip("/")
        body = self.output.read(path)
        assert row["fused_sha256"] == hashlib.sha256(body).hexdigest()
        sides = [self.source.read(f"{side}/{row['pair_id']}.png") for side in ("ir", "vi")]
        expected = score(*(decode(file).pixels for file in (*sides, body)))
        assert {name: row[name] for name in METRIC_NAMES} == pytest.approx(expected, rel=1e-12)


def all_rows(archive: ArchiveFixture) -> list[tuple[str, str]]:
    """Return pair and run of every row of the manifest, also where a pair has several."""
    rows = read_manifest(archive.output.url("commits/manifest"), latest=False).to_pylist()
    return sorted((row["pair_id"], row["run_id"]) for row in rows)
