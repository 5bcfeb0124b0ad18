"""Headers of large rasters are looked at by workers, ahead of the work."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from generated_scenes import write_raster
from ray.cluster_utils import Cluster
from ray.exceptions import RayError

from actors import headers
from actors.headers import with_pixels
from fusion_core.archive.plan import cut_chunks
from fusion_core.settings.fuse import FuseArchiveSettings

NAMES = ["a.tif", "b.png", "c.TIF", "none.tif", "d.tif"]
PIXELS = [600, 0, 1200, 0, 2400]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FuseArchiveSettings:
    monkeypatch.setattr("fusion_core.scenes.large_files._LARGE_ENOUGH", 1)
    for name, count in zip(NAMES, PIXELS, strict=True):
        if count:
            write_raster(tmp_path / name, np.zeros((20, count // 20), np.uint16))
    return FuseArchiveSettings(source=str(tmp_path), output=f"{tmp_path}/out")


def todo(names: list[str]) -> pa.Table:
    return pa.table(
        {
            **{"pair_id": names, "ir_path": names, "ir_bytes": [9] * len(names)},
            **{"ir_version": names, "vi_path": names, "vi_bytes": [9] * len(names)},
            "vi_version": names,
        }
    )


def found(settings: FuseArchiveSettings, rows: int) -> list[int]:
    batches = with_pixels(todo(NAMES).to_batches(max_chunksize=rows), settings, {})
    return [count for batch in batches for count in batch["pixels"].to_pylist()]


def in_vain(*_: object) -> list[int]:
    raise AssertionError("the driver looked")


@pytest.mark.ray
def test_workers_look_where_there_are_many(
    ray_nodes: Cluster, settings: FuseArchiveSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "_FEW", 0)
    monkeypatch.setattr(headers, "_FILES", 2)
    with monkeypatch.context() as here:
        here.setattr("fusion_core.scenes.count_pixels", in_vain)
        assert found(settings, rows=9) == PIXELS

    def lost(_: object) -> None:
        raise RayError("its node is gone")

    monkeypatch.setattr(headers, "result_of", lost)
    assert found(settings, rows=2) == PIXELS


def test_the_driver_looks_at_few_by_itself(
    settings: FuseArchiveSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "ray", None)
    for rows in (1, 2, 9):
        assert found(settings, rows) == PIXELS
    monkeypatch.setattr("fusion_core.scenes.count_pixels", in_vain)
    with pytest.raises(AssertionError):
        found(settings, 9)


def test_the_plan_is_looked_at_as_chunks_are_asked_for(settings: FuseArchiveSettings) -> None:
    asked = []

    def batches() -> Iterator[pa.RecordBatch]:
        for k in range(50):
            asked.append(k)
            yield from todo([f"{k:02}.png"]).to_batches()

    chunks = cut_chunks(with_pixels(batches(), settings, {}), "key", 2)
    assert [pair.pair_id for pair in next(chunks).pairs] == ["00.png", "01.png"]
    assert len(asked) < 10
    assert len(list(chunks)) == 24
    assert asked == list(range(50))
