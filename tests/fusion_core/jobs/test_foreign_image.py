"""An image that somebody put where ours will lie: it stays, and is never taken for ours."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from scene_fixture import SceneFixture
from tiny import TODAY, pair_refs, png, settings_for, tiny_fuser, write_pairs

from fusion_core.archive.layout import fused_path, part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk
from fusion_core.archive.stored_images import stored_image
from fusion_core.jobs.fusion_worker import FusionWorker
from fusion_core.jobs.identity import RunIdentity
from fusion_core.models.arithmetic import arithmetic_of
from fusion_core.storage.store import Storage

FOREIGN = png(np.full((24, 32), 77, np.uint8))


@pytest.fixture
def worker(tmp_path: Path) -> FusionWorker:
    write_pairs(tmp_path / "in", ["a"])
    settings = settings_for(tmp_path / "in", tmp_path / "out", "unused")
    fuser = tiny_fuser()
    digest = settings.image_settings().settings_hash()
    run = RunIdentity("r", TODAY, fuser.model_hash, digest)
    source, output = Storage(settings.source), Storage(settings.output)
    return FusionWorker(source, output, fuser, settings, run)


def test_a_photograph_at_the_predictable_key_stays_and_ours_lies_beside(
    worker: FusionWorker, tmp_path: Path
) -> None:
    (ref,) = pair_refs(tmp_path / "in", ["a"])
    fuser, run, output = worker.fuser, worker.run_identity, worker.output
    key = arithmetic_of(fuser).key
    taken = fused_path(ref, run.settings_hash, fuser.model_hash, "png", arithmetic=key)
    output.write(taken, FOREIGN)
    assert worker.run(Chunk("c", (ref,))).ok == 1
    (row,) = read_part(output, part_path(TODAY, "c")).to_pylist()
    assert output.read(taken) == FOREIGN
    image = stored_image(output, row)
    assert image is not None
    assert output.url(image.path) == row["fused_url"] != output.url(taken)
    body = image.read()
    assert hashlib.sha256(body).hexdigest() == row["fused_sha256"]
    assert body != FOREIGN


def test_a_scene_at_the_predictable_key_stays_and_ours_lies_beside_with_its_item(
    tmp_path: Path,
) -> None:
    archive = SceneFixture(tmp_path, stac="items")
    archive.put("a")
    first = archive.fuse_one("a")
    taken = first["fused_url"].removeprefix(f"{archive.output.root}/")
    archive.output.write(taken, FOREIGN)
    row = archive.fuse_one("a")
    assert archive.output.read(taken) == FOREIGN
    image = stored_image(archive.output, row)
    assert image is not None
    assert archive.output.url(image.path) == row["fused_url"] != first["fused_url"]
    image.check()
    assert row["item_url"] == row["fused_url"].removesuffix(".tif") + ".json"
