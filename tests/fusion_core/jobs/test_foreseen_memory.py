"""A worker that may take little begins with less, for photographs and for scenes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from archive_fixture import NAMES, ArchiveFixture
from fixed_budget import FixedBudget
from generated_scenes import scene_bands
from scene_fixture import SceneFixture, pixels_of
from tiny import pair_refs, tiny_fuser, write_pairs

from fusion_core.archive.plan import Chunk
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.pair import PairState
from fusion_core.jobs.scene import SceneWork
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.models.tiling.room import Room

EXPECTED = "fused in tiles of {} pixels, because memory was expected to run out"
# A quarter of it is left to pairs that are loaded meanwhile; 190x190 pixels fit into the rest.
LITTLE = FixedBudget(room=190 * 190 * tiny_fuser().bytes_per_pixel * 1.15 / 0.75)


def watched() -> tuple[NetworkFuser, list[int]]:
    """Return a tiny network's fuser, and the pixels that it is called with."""
    fuser, pixels = tiny_fuser(), list[int]()

    def note(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        pixels.append(inputs[0].numel())

    fuser._engine._network.register_forward_pre_hook(note)
    return fuser, pixels


def worker_of(archive: ArchiveFixture, budget: FixedBudget) -> FusionWorker:
    return FusionWorker(
        archive.source,
        archive.output,
        archive.fuser,
        archive.settings,
        archive.identity("first"),
        budget=budget,
    )


def test_a_photograph_that_is_not_expected_to_fit_is_fused_in_tiles_and_its_row_says_why(
    tmp_path: Path,
) -> None:
    archive = ArchiveFixture(str(tmp_path))
    archive.fuser, pixels = watched()
    write_pairs(archive.settings.source, ["large"], (300, 340))
    refs = pair_refs(archive.settings.source, [*NAMES, "large"])
    assert worker_of(archive, LITTLE).run(Chunk("part", refs)).ok == 5
    remarks = {name: row["remark"] for name, row in archive.rows().items()}
    assert remarks == {**dict.fromkeys(NAMES), "large": EXPECTED.format(128)}
    archive.check_image(archive.rows()["large"])
    assert max(pixels) <= (190 + 2 * 8) ** 2  # with what is reflected around


def test_a_batch_is_no_larger_than_what_is_expected_to_fit(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path), batch_size=4, io_threads=4)
    archive.fuser, pixels = watched()
    pair = 24 * 32 * archive.fuser.bytes_per_pixel * 1.15
    assert worker_of(archive, FixedBudget(room=2.1 * pair / 0.75)).run(archive.chunk()).ok == 4
    assert max(pixels) <= 2 * 40 * 48
    assert {row["remark"] for row in archive.rows().values()} == {None}


def test_a_small_worker_holds_fewer_pairs_beside(tmp_path: Path) -> None:
    archive = ArchiveFixture(str(tmp_path))
    assert worker_of(archive, FixedBudget(room=400 << 20)).memory == 100 << 20
    assert worker_of(archive, FixedBudget(room=64 << 30)).memory == 1024 << 20


@pytest.fixture
def scenes(tmp_path: Path) -> SceneFixture:
    archive = SceneFixture(tmp_path, fuser=tiny_fuser(), tile_size=256)
    archive.put("a", *scene_bands(5, (300, 340), bands=1, nodata=None))
    return archive


def fused(archive: SceneFixture, budget: FixedBudget | None, **how: bool) -> dict[str, Any]:
    work = SceneWork(
        archive.source,
        archive.output,
        room=Room(archive.fuser, budget),
        settings=archive.settings,
        run=archive.worker().run_identity,
    )
    return work.fuse(PairState(archive.ref("a")), **how)


def test_a_scene_begins_with_tiles_that_are_expected_to_fit(scenes: SceneFixture) -> None:
    whole = fused(scenes, None)
    assert whole["remark"] is None
    before = pixels_of(whole["fused_url"]).astype(float)
    row = fused(scenes, FixedBudget(room=190 * 190 * scenes.fuser.bytes_per_pixel * 1.15))
    assert row["remark"] == EXPECTED.format(128)
    assert np.abs(pixels_of(row["fused_url"]).astype(float) - before).max() <= 1


def test_a_scene_that_ended_another_worker_begins_with_smaller_tiles(scenes: SceneFixture) -> None:
    row = fused(scenes, None, in_tiles=True)
    assert row["remark"] == "fused in tiles of 128 pixels, because memory ran out in another worker"
