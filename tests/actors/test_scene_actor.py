"""Scenes on the real actor: what a worker that is killed in the middle of one costs."""

import collections
import datetime as dt
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import ray
from generated_scenes import write_scene_pair
from pools import making, pool_making
from ray.cluster_utils import Cluster
from tiny import settings_for, tiny_weights

from actors.fusion_actor import FusionActor, FusionJob
from actors.headers import with_pixels
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.plan import cut_chunks, make_plan
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_pairs
from fusion_core.jobs.scene import _TileWriter
from fusion_core.models.fuser import read_model
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
TODAY = dt.date(2026, 1, 2)
NAMES = [f"scene{k}" for k in range(4)]


@pytest.fixture
def settings(tmp_path: Path) -> FuseArchiveSettings:
    for seed, name in enumerate(NAMES):
        write_scene_pair(tmp_path / "in", name, bands=1, seed=seed)
    return settings_for(
        tmp_path / "in",
        tmp_path / "out",
        tiny_weights(tmp_path),
        ir="ir/{pair}.tif",
        vi="vi/{pair}.tif",
        tile_size=128,
    )


class DyingActor(FusionActor):
    """Notes every chunk that it begins; is killed once, with some tiles of scene2 written."""

    def run(self, chunk: Any, storage_options: Any) -> Any:
        top = Path(self._job.settings.source).parent
        with (top / "begun.txt").open("a") as log:
            log.write("".join(f"{pair.pair_id}\n" for pair in chunk.pairs))
        write = _TileWriter.write

        def dying(self: Any, *arguments: Any) -> None:
            write(self, *arguments)
            if self.pair_id == "scene2" and self.written == 3 and not (top / "died").exists():
                (top / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)

        _TileWriter.write = dying  # type: ignore[method-assign]
        try:
            return super().run(chunk, storage_options)
        finally:
            _TileWriter.write = write  # type: ignore[method-assign]


def test_a_worker_killed_in_the_middle_of_a_scene_costs_that_scene_alone(
    ray_nodes: Cluster,
    settings: FuseArchiveSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("fusion_core.scenes.large_files._LARGE_ENOUGH", 1)
    source, output = Storage(settings.source), Storage(settings.output)
    pairing = list_pairs(settings, source, output, TODAY, {})
    todo = make_plan(pairing, read_manifest(output.url("commits/manifest"), latest=False)).todo
    batches = with_pixels(todo.to_batches(), settings, {})
    chunks = list(cut_chunks(batches, "key", 32, chunk_pixels=50_000))
    assert [len(chunk.pairs) for chunk in chunks] == [1] * len(NAMES), "a chunk for each scene"
    model_hash = read_model(settings.model).model_hash
    job = FusionJob(settings, RunIdentity("run", TODAY, model_hash, "settings"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    environment = {"env_vars": {"TMPDIR": str(scratch)}}
    make = making(DyingActor, job, "cpu", 1.0, runtime_env=environment)
    list(pool_making(make, 1).run(chunks))
    rows = read_manifest(output.url("commits/manifest"), latest=False)
    assert rows["pair_id"].to_pylist() == NAMES
    assert rows["status"].to_pylist() == ["ok"] * len(NAMES)
    assert (tmp_path / "died").exists()
    begun = collections.Counter((tmp_path / "begun.txt").read_text().split())
    assert begun["scene2"] == 2
    # A chunk that waited on the actor for its turn had not begun.
    assert [begun[name] for name in NAMES if name != "scene2"] == [1, 1, 1]
    assert len(list((tmp_path / "out/fused").rglob("*.tif"))) == len(NAMES)
    assert not list(scratch.glob("fuse-archive-scratch-*")), "the next scene swept what was left"
