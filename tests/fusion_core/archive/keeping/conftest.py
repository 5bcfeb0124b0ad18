"""A real output, made once; every test has a copy of it."""

import shutil
from pathlib import Path

import pytest
from archive_fixture import ArchiveFixture
from blind_publisher import StillHeart
from tiny import TODAY

from fusion_core.archive import lease as lease_module
from fusion_core.archive.index.update import IndexUpdate
from fusion_core.archive.layout import part_path
from fusion_core.archive.lease import acquire
from fusion_core.archive.plan import Chunk
from fusion_core.archive.publisher import Publisher


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose pairs are fused and published, two by two, with an index."""
    folder = tmp_path_factory.mktemp("archive")
    archive = ArchiveFixture(str(folder))
    lease = acquire(lambda: archive.output, "run", seconds=60, wait=False)
    publisher = Publisher(lambda: archive.output, lease)
    publisher.take_over()
    pairs = archive.chunk().pairs
    for name, some in (("0a", pairs[:2]), ("0b", pairs[2:])):
        publisher.declare([part_path(TODAY, name)])
        publisher.committed(archive.worker("run").run(Chunk(name, some)).parts)
        publisher.publish()
    publisher.finish()
    IndexUpdate(archive.output, "manifest", folder).run(lease.generation)
    lease.release()
    return folder


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> ArchiveFixture:
    shutil.copytree(made, tmp_path / "copy")
    return ArchiveFixture(str(tmp_path / "copy"))


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No heartbeats, so that a lease is quickly taken and given back."""
    monkeypatch.setattr(lease_module, "Heart", StillHeart)
