"""GPUs that fail, at whatever stage: no pair is blamed, and nothing is committed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from archive_fixture import ArchiveFixture
from pipeline_stages import Stages, named
from scene_fixture import SceneFixture
from tiny import TODAY, score_settings_for, tiny_fuser, write_fused, write_pairs

from fusion_core.archive.plan import Chunk, cut_chunks, make_plan
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.errors import GpuFaultError, MetricError
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_fused
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.scoring_worker import ScoringWorker
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.storage.store import Storage

ILLEGAL = "CUDA error: an illegal memory access was encountered\nCompile with `TORCH_USE_CUDA_DSA`"


def broken(*_: Any, **__: Any) -> None:
    raise RuntimeError(ILLEGAL)


def broken_fuser(message: str = ILLEGAL, *, good: int = 2) -> NetworkFuser:
    """Return a tiny network's fuser that fails at all calls after some good ones."""
    fuser, calls = tiny_fuser(), list[None]()

    def fail(*_: Any) -> None:
        calls.append(None)
        if len(calls) > good:
            raise RuntimeError(message)

    fuser._engine._network.register_forward_pre_hook(fail)
    return fuser


@pytest.mark.parametrize("stage", ["load", "fuse", "finish"])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_fault_at_any_stage_stops_all_pairs(stage: str, batch_size: int) -> None:
    stages, begun = Stages(named(40)), list[str]()
    original = getattr(stages, stage)

    def fail(work: Any, *more: Any) -> Any:
        pairs: Sequence[PairState] = work if stage == "fuse" else [work]
        begun.extend(pair.ref.pair_id for pair in pairs)
        if "p5" in begun:
            raise MetricError("undefined") from RuntimeError(ILLEGAL)
        return original(work, *more)

    others: dict[str, Any] = {stage: fail}
    with pytest.raises(GpuFaultError, match=r"the GPU failed in the stage .* of p.*MetricError"):
        stages.run(batch_size=batch_size, threads=1, **others)
    assert len(begun) < 30
    if stage == "fuse":  # nothing is asked of a broken GPU a second time
        assert len(begun) == len(set(begun))


@pytest.mark.parametrize(("batch_size", "good"), [(1, 2), (4, 0)])
def test_a_worker_whose_gpu_fails_while_fusing_commits_nothing_and_another_all(
    tmp_path: Path, batch_size: int, good: int
) -> None:
    archive = ArchiveFixture(str(tmp_path), batch_size=batch_size, io_threads=1)
    fuser, archive.fuser = archive.fuser, broken_fuser(good=good)
    with pytest.raises(GpuFaultError, match=r"illegal memory access.*look at the driver's log"):
        archive.worker().run(archive.chunk())
    assert archive.output.list("commits/manifest").num_rows == 0
    archive.fuser = fuser
    assert archive.worker("second").run(archive.chunk()).ok == 4
    for row in archive.rows().values():
        archive.check_image(row)


@pytest.mark.parametrize("kind", ["RuntimeError", "AcceleratorError"])
def test_a_worker_whose_gpu_fails_while_scoring_commits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    archive = ArchiveFixture(str(tmp_path))
    error = RuntimeError(ILLEGAL) if kind == "RuntimeError" else torch.AcceleratorError("odd")
    monkeypatch.setattr("fusion_core.jobs.pair.score_columns", raising(error))
    with pytest.raises(GpuFaultError, match=r"the GPU failed in the stage score of"):
        archive.worker().run(archive.chunk())
    assert archive.output.list("commits/manifest").num_rows == 0


def raising(error: Exception) -> Any:
    def call(*_: Any, **__: Any) -> None:
        raise error

    return call


def test_what_may_be_want_of_memory_is_a_fault_where_less_does_not_help(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path))
    archive.fuser = broken_fuser("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR")
    with pytest.raises(GpuFaultError, match="CUDNN_STATUS_INTERNAL_ERROR"):
        archive.worker().run(archive.chunk())
    assert archive.output.list("commits/manifest").num_rows == 0


@pytest.mark.parametrize("stage", ["fuse", "score"])
def test_a_scene_whose_gpu_fails_is_not_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    archive = SceneFixture(tmp_path)
    for name in "abcd":
        archive.put(name)
    if stage == "fuse":
        archive.fuser = broken_fuser()
    else:
        monkeypatch.setattr("fusion_core.jobs.scene.score_scene", broken)
    with pytest.raises(GpuFaultError, match=f"the GPU failed in the stage {stage} of [a-d]: "):
        archive.worker().run(Chunk("part", tuple(map(archive.ref, "abcd"))))
    assert archive.output.list("commits/manifest").num_rows == 0


def test_a_worker_that_only_scores_likewise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = score_settings_for(tmp_path / "source", tmp_path / "output", "m")
    source, output = Storage(settings.source), Storage(settings.output)
    write_fused(settings.source, "m", write_pairs(settings.source, ["a", "b"]))
    pairing, images = list_fused(settings, source, output, TODAY, {})
    plan = make_plan(pairing, PART_SCHEMA.empty_table(), images=images.images)
    (chunk,) = cut_chunks(plan.todo, "key", 99)
    run = RunIdentity("first", TODAY, None, settings.settings_hash())
    worker = ScoringWorker(source, output, fused={"m": source}, settings=settings, run=run)
    monkeypatch.setattr("fusion_core.jobs.scoring_worker.score_columns", broken)
    with pytest.raises(GpuFaultError, match="the GPU failed in the stage score of"):
        worker.run(chunk)
    assert output.list().num_rows == 0
