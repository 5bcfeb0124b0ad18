from collections.abc import Mapping
from typing import Any

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
