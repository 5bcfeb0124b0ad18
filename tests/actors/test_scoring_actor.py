"""The scoring actor on a real cluster, by the pool that fusing uses."""

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ray
from pools import pool_making
from ray.cluster_utils import Cluster
from tiny import TODAY, score_settings_for, write_fused, write_pairs

from actors.chunk_actor import Job, start_actor
from actors.resources import WorkerShare
from actors.scoring_actor import ScoringActor
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.plan import cut_chunks, make_plan
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import SettingsError
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_fused
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.storage.store import Storage

ONE_CPU = WorkerShare(1.0, 0.0, 2)
NAMES = ["a", "b", "c"]


@pytest.fixture
def settings(tmp_path: Path) -> ScoreArchiveSettings:
    """Settings of a run over two methods, of which one has a folder of its own."""
    write_pairs(tmp_path / "in", NAMES)
    write_fused(tmp_path / "in", "m", NAMES)
    write_fused(tmp_path / "far", "n", NAMES)
    fused = {"m": "fused_m/{pair}.png", "n": f"{tmp_path}/far/fused_n/{{pair}}.png"}
    return score_settings_for(tmp_path / "in", tmp_path / "out", fused=fused)


def job_of(settings: ScoreArchiveSettings) -> Job[ScoreArchiveSettings]:
    return Job(settings, RunIdentity("run", TODAY, None, settings.settings_hash()))


def todo_of(settings: ScoreArchiveSettings) -> pa.Table:
    source, output = Storage(settings.source), Storage(settings.output)
    pairing, images = list_fused(settings, source, output, TODAY, {})
    return make_plan(pairing, PART_SCHEMA.empty_table(), images=images.images).todo


@pytest.mark.ray
@pytest.mark.slow
def test_chunks_become_rows_of_the_images_of_every_store(
    ray_nodes: Cluster, settings: ScoreArchiveSettings
) -> None:
    job = job_of(settings)
    chunk, *others = cut_chunks(todo_of(settings), "key", 2)
    assert len(ray.cloudpickle.dumps(chunk)) < 10_000
    pool = pool_making(partial(start_actor, ScoringActor, job, ONE_CPU), 2)
    results = list(pool.run([chunk, *others]))
    assert (sum(one.ok for one in results), sum(one.failed for one in results)) == (6, 0)
    rows = read_manifest(f"{settings.output}/commits/scores", latest=False).to_pylist()
    assert [(row["pair_id"], row["method"]) for row in rows] == [
        (name, method) for name in NAMES for method in "mn"
    ]
    by_method = {row["method"]: row["fused_url"] for row in rows if row["pair_id"] == "a"}
    assert by_method["m"] == f"{settings.source}/fused_m/a.png"
    assert by_method["n"].endswith("/far/fused_n/a.png")


@pytest.mark.ray
@pytest.mark.slow
def test_starting_needs_no_weights_and_names_a_gpu_that_torch_does_not_see(
    ray_nodes: Cluster, settings: ScoreArchiveSettings
) -> None:
    assert ScoringActor(job_of(settings), "cpu", 1.0).start().arithmetic is None
    with pytest.raises(SettingsError, match="torch sees none"):
        ScoringActor(job_of(settings), "cuda", 1.0).start()


def test_credentials_that_change_are_used_for_every_store(settings: ScoreArchiveSettings) -> None:
    actor = ScoringActor(job_of(settings), "cpu", 1.0)
    first: Any = actor._worker_for({})
    assert actor._worker_for({}) is first
    again: Any = actor._worker_for({"auto_mkdir": False})
    assert again is not first
    assert again.fused["m"] is again.source
    assert again.fused["n"].options == {"auto_mkdir": False}
