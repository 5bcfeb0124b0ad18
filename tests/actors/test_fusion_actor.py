"""The real actor on a real cluster: what it writes, and what it does not send."""

import datetime as dt
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ray
from pools import making, pool_making
from ray.cluster_utils import Cluster
from tiny import settings_for, tiny_weights, write_pairs

from actors.chunk_actor import start_actor
from actors.fusion_actor import FusionActor, FusionJob
from actors.resources import WorkerShare
from actors.tasks import run_on_worker, time_pairs, time_tile
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.plan import PairRef, cut_chunks, make_plan
from fusion_core.archive.stored_images import stored_image
from fusion_core.errors import SettingsError, WeightsError
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_pairs
from fusion_core.models.arithmetic import Arithmetic
from fusion_core.models.fuser import read_model
from fusion_core.reports.sheets import ShownPair, write_contact_sheet
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage
from fusion_core.storage.stored_file import StoredFile

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
ONE_CPU = WorkerShare(1.0, 0.0, 2)
TODAY = dt.date(2026, 1, 2)


@pytest.fixture
def settings(tmp_path: Path) -> FuseArchiveSettings:
    write_pairs(tmp_path / "in", [f"p{k:02}" for k in range(10)])
    return settings_for(
        str(tmp_path / "in"), str(tmp_path / "out"), tiny_weights(tmp_path), chunk_pairs=2
    )


def job_of(settings: FuseArchiveSettings) -> FusionJob:
    model_hash = read_model(settings.model).model_hash
    digest = settings.image_settings().settings_hash()
    return FusionJob(settings, RunIdentity("run", TODAY, model_hash, digest))


def todo_of(settings: FuseArchiveSettings) -> pa.Table:
    output = Storage(settings.output)
    pairing = list_pairs(settings, Storage(settings.source), output, TODAY, {})
    rows = read_manifest(output.url("commits/manifest"), latest=False)
    return make_plan(pairing, rows).todo


def run(settings: FuseArchiveSettings, actor: Any = None) -> None:
    job = job_of(settings)
    make = actor or partial(start_actor, FusionActor, job, ONE_CPU)
    chunks = cut_chunks(todo_of(settings), "key", settings.chunk_pairs)
    list(pool_making(make, ONE_CPU.count).run(chunks))


def test_chunks_become_images_and_rows(ray_nodes: Cluster, settings: FuseArchiveSettings) -> None:
    run(settings)
    rows = read_manifest(f"{settings.output}/commits/manifest", latest=False)
    assert rows["status"].to_pylist() == ["ok"] * 10
    assert all(Path(url).is_file() for url in rows["fused_url"].to_pylist())
    assert len(todo_of(settings)) == 0


class DyingActor(FusionActor):
    """Dies after the images of the first chunk, before its commit: the worst moment."""

    def run(self, chunk: Any, storage_options: Any) -> Any:
        marker = Path(self._job.settings.output) / "died"
        worker = self._worker_for(storage_options)
        if not marker.exists():
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
            worker._commit = lambda chunk, rows: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore
        return worker.run(chunk)


@pytest.mark.long
def test_an_actor_killed_between_images_and_commit_leaves_every_pair_once(
    ray_nodes: Cluster, settings: FuseArchiveSettings
) -> None:
    job = job_of(settings)
    run(settings, making(DyingActor, job, "cpu", 1.0))
    rows = read_manifest(f"{settings.output}/commits/manifest", latest=False)
    assert rows["status"].to_pylist() == ["ok"] * 10
    assert len(set(rows["pair_id"].to_pylist())) == 10
    images = [path for path in (Path(settings.output) / "fused").rglob("*") if path.is_file()]
    assert len(images) == 10


@pytest.mark.long
def test_a_process_that_dies_at_one_pair_costs_that_pair_alone(
    ray_nodes: Cluster, settings: FuseArchiveSettings
) -> None:
    class Poisoned(FusionActor):
        def run(self, chunk: Any, storage_options: Any) -> Any:
            if any(pair.pair_id == "p03" for pair in chunk.pairs):
                os.kill(os.getpid(), signal.SIGSEGV)
                time.sleep(60)  # another thread may be the one that takes it
            return super().run(chunk, storage_options)

    job = job_of(settings)
    run(settings, making(Poisoned, job, "cpu", 1.0))
    rows = read_manifest(f"{settings.output}/commits/manifest", latest=False).to_pylist()
    undone = [row for row in rows if row["status"] == "undone"]
    assert [(row["pair_id"], row["stage"], row["cause"]) for row in undone] == [
        ("p03", "crash", "worker")
    ]
    assert len(rows) == 10


def test_what_travels_is_too_small_for_the_object_store(
    ray_nodes: Cluster, settings: FuseArchiveSettings
) -> None:
    actor = start_actor(FusionActor, job_of(settings), ONE_CPU)
    ray.get(actor.start.remote())
    chunk = next(cut_chunks(todo_of(settings), "key", 10))
    result = ray.get(actor.run.remote(chunk, {}))
    # What travels back is pickled inline, below the size at which Ray takes its object store.
    assert len(ray.cloudpickle.dumps(result)) < 1000
    assert len(ray.cloudpickle.dumps(chunk)) < 10_000
    ray.kill(actor)


@pytest.mark.long
def test_a_model_that_is_not_that_of_the_plan_stops_the_actor(
    ray_nodes: Cluster, settings: FuseArchiveSettings
) -> None:
    job = job_of(settings)
    other = FusionJob(settings, RunIdentity("run", TODAY, "0" * 64, job.run.settings_hash))
    pool = pool_making(partial(start_actor, FusionActor, other, ONE_CPU), 1)
    with pytest.raises(WeightsError, match="sha256"):
        list(pool.run(cut_chunks(todo_of(settings), "key", 2)))


def test_a_gpu_that_torch_does_not_see_is_named(settings: FuseArchiveSettings) -> None:
    with pytest.raises(SettingsError, match="torch sees none"):
        FusionActor(job_of(settings), "cuda", 1.0).start()


def test_all_actors_of_a_run_compute_as_the_first_one_settled_it(
    ray_nodes: Cluster, settings: FuseArchiveSettings
) -> None:
    automatic = settings.model_copy(update={"precision": "auto"})
    job = job_of(automatic)
    actor = start_actor(FusionActor, job, ONE_CPU)
    here = ray.get(actor.start.remote())
    assert here.arithmetic.device == "cpu"
    assert here.node_id in {node["NodeID"] for node in ray.nodes()}
    for precision in ("fp32", "bf16"):
        settled = Arithmetic("cpu", precision)
        assert ray.get(actor.start.remote(settled)).arithmetic == settled
    chunk = next(cut_chunks(todo_of(automatic), "key", 1))
    ray.get(actor.run.remote(chunk, {}))
    (row,) = read_manifest(f"{settings.output}/commits/manifest", latest=False).to_pylist()
    assert (row["device"], row["precision"], row["engine"]) == ("cpu", "bf16", "eager")
    ray.kill(actor)


def test_timing_pairs_keeps_nothing(ray_nodes: Cluster, settings: FuseArchiveSettings) -> None:
    pairs = next(cut_chunks(todo_of(settings), "key", 3)).pairs
    seconds, timed = run_on_worker(time_pairs, job_of(settings), ONE_CPU, pairs, {}, share=ONE_CPU)
    assert seconds > 0
    assert timed == sum(pair.ir_bytes + pair.vi_bytes for pair in pairs[1:])
    assert not Path(settings.output).exists()


def test_timing_a_tile_tells_the_seconds_of_a_pixel(
    ray_nodes: Cluster, settings: FuseArchiveSettings
) -> None:
    small = settings.model_copy(update={"tile_size": 128})
    assert 0 < run_on_worker(time_tile, job_of(small), ONE_CPU, share=ONE_CPU) < 1e-3


@pytest.mark.long
def test_the_contact_sheet_is_drawn_on_a_worker(
    ray_nodes: Cluster, settings: FuseArchiveSettings
) -> None:
    run(settings)
    rows = read_manifest(f"{settings.output}/commits/manifest").to_pylist()[:3]
    source, output = Storage(settings.source), Storage(settings.output)
    pairs = []
    for row in rows:
        sides = [StoredFile(source, f"{side}/{row['pair_id']}.png") for side in ("ir", "vi")]
        image = stored_image(output, row)
        assert image is not None
        assert image.read() == Path(row["fused_url"]).read_bytes()
        pairs.append(ShownPair(row["pair_id"], *sides, {"fused": image}))
    url = run_on_worker(write_contact_sheet, output, "runs/r/sheet.png", pairs, "title")
    assert Path(url).read_bytes().startswith(b"\x89PNG")


def test_credentials_that_change_are_used(ray_nodes: Cluster, tmp_path: Path) -> None:
    settings = settings_for("memory://in", "memory://out", tiny_weights(tmp_path))
    actor = FusionActor(job_of(settings), "cpu", 1.0)
    actor.start()
    first = actor._worker_for({})
    assert actor._worker_for({}) is first
    assert actor._worker_for({"skip_instance_cache": True}) is not first
    assert isinstance(first.source, Storage)


def test_a_chunk_reference_is_small_whatever_its_images() -> None:
    pair = PairRef("p", "ir/p.png", 10**9, "v", "vi/p.png", 10**9, "v")
    assert len(ray.cloudpickle.dumps(pair)) < 500
