"""A real output, made once; every test has a copy of it."""

import shutil
from pathlib import Path

import pytest
from archive_fixture import ArchiveFixture
from blind_publisher import StillHeart

from fusion_core.archive import lease as lease_module


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive whose pairs are fused and published, two by two, with an index."""
    folder = tmp_path_factory.mktemp("archive")
    ArchiveFixture(str(folder)).publish(folder)
    return folder


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> ArchiveFixture:
    shutil.copytree(made, tmp_path / "copy")
    return ArchiveFixture(str(tmp_path / "copy"))


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """No heartbeats, so that a lease is quickly taken and given back."""
    monkeypatch.setattr(lease_module, "Heart", StillHeart)
