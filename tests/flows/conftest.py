"""Fixtures of the flow tests: a Prefect API and a small archive."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect_database import api_with_database
from tiny import small_archive

from fusion_core.settings.fuse import FuseArchiveSettings


@pytest.fixture(scope="session")
def prefect_api() -> Iterator[None]:
    """A real Prefect API with a database of its own."""
    with api_with_database():
        yield


@pytest.fixture
def archive(tmp_path: Path) -> FuseArchiveSettings:
    """Settings of a run over eight small pairs."""
    return small_archive(tmp_path)
