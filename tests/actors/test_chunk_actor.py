import datetime as dt
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import ArchiveFixture
from tiny import TODAY, settings_for

from actors.chunk_actor import ChunkActor, Job
from fusion_core.jobs.identity import RunIdentity
from fusion_core.storage.store import Storage


class Stores(ChunkActor[Any]):
    def _make_worker(self, source: Storage, output: Storage, options: Mapping[str, Any]) -> Any:
        return source, output


def test_a_worker_pays_for_requests_of_the_source_alone() -> None:
    settings = settings_for("s3://archive", "s3://results", "mean", requester_pays=True)
    actor = Stores(Job(settings, RunIdentity("r", TODAY, None, "s")), "cpu", 1)
    stores: Any = actor._worker_for({"key": "k"})
    assert stores[0].options == {"key": "k", "requester_pays": True}
    assert stores[1].options == {"key": "k"}
    assert actor._worker_for({"key": "k"}) is stores
    assert actor._worker_for({"key": "new"}) is not stores


class Fusing(ChunkActor[Any]):
    archive: ArchiveFixture

    def _make_worker(self, *_: Any) -> Any:
        return self.archive.worker()


@pytest.mark.parametrize("watched", [True, False])
def test_a_result_tells_when_it_was_made_and_of_what_was_warned(
    watched: bool, tmp_path: Path
) -> None:
    archive = ArchiveFixture(str(tmp_path))
    archive.source.write("ir/b.png", b"no picture")
    actor = Fusing(Job(archive.settings, archive.run, watched), "cpu", 1)
    actor.archive, before = archive, dt.datetime.now(dt.UTC)
    logging.getLogger().addHandler(actor._warnings)
    try:
        logging.getLogger("models").warning("while it started")
        result = actor.run(archive.chunk(), {})
    finally:
        logging.getLogger().removeHandler(actor._warnings)
    told = result.told
    assert told is not None
    assert before <= told.began <= told.ended <= dt.datetime.now(dt.UTC)
    assert (told.chunk, told.device, told.more_warnings) == ("part", "cpu", 0)
    started, failed = told.warnings
    assert (started.message, started.chunk) == ("while it started", None)
    assert (failed.chunk, failed.pair_id) == ("part", "b")
    assert "pair b failed at decode" in failed.message
    assert len(result.attempts) == (4 if watched else 0)
