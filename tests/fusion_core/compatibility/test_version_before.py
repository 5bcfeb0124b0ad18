"""What version 0.1.0 left is read, gone on with and left alone as that version would have."""

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pystac
import pytest
import torch
from tiny import timeless
from version_before import Left, before_schema_5, planned, planned_scores, restored, todo

from fusion_core.api import fuse
from fusion_core.archive.lease import acquire
from fusion_core.archive.lease_record import declared_intents, newest_generation, read_record
from fusion_core.archive.manifest import read_manifest
from fusion_core.archive.parts import read_part_or_tombstone
from fusion_core.archive.publisher import Publisher
from fusion_core.archive.schema import MANIFEST_SCHEMA, PART_SCHEMA
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.metrics import METRIC_NAMES
from fusion_core.models.fuser import read_model
from fusion_core.models.weights_file import load_weights
from fusion_core.scenes.stac_catalog import write_scene_catalog
from fusion_core.settings.fuse import FuseArchiveSettings
from fusion_core.storage.store import Storage
from fusion_core.training.job import Reporter, WorkerRank
from fusion_core.training.plan import finished_log, plan_training
from fusion_core.training.record import ProgressEvent
from fusion_core.training.run import run_training
from fusion_core.training.settings import TrainSettings

DAY = dt.date(2026, 11, 20)


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return restored(tmp_path)


def test_an_archive_that_is_done_stays_done(left: Left) -> None:
    plan = planned(FuseArchiveSettings(**left.laplacian()))
    assert (plan.done, plan.older, plan.known_failed) == (5, 5, 0)
    assert todo(plan) == ["pier"], "it failed before, and another version may succeed"


def test_images_of_before_are_made_anew_when_that_is_asked_for(left: Left) -> None:
    asked = FuseArchiveSettings(**left.laplacian(), reprocess="older")
    plan = planned(asked)
    assert (len(todo(plan)), plan.done, plan.older) == (6, 0, 0)


def test_what_an_interrupted_run_had_no_time_for_is_left_to_do(left: Left) -> None:
    """By the packaged weights and the default settings."""
    plan = planned(FuseArchiveSettings(**left.defaults()))
    assert (todo(plan), plan.done, plan.older) == (["pier", "twin", "yard"], 3, 3)


def test_what_an_evaluation_fused_stays_done(left: Left) -> None:
    plan = planned(EvaluateSettings(**left.evaluating()).fusing("mean"))
    assert (todo(plan), plan.done) == ([], 2)


def test_images_that_were_scored_stay_scored(left: Left) -> None:
    settings = ScoreArchiveSettings(**left.scoring())
    plan = planned_scores(settings)
    assert (todo(plan), plan.done) == ([], 5)
    other = settings.model_copy(update={"convention": "textbook"})
    assert len(planned_scores(other).todo) == 5


def test_a_changed_file_is_fused_and_scored_again(left: Left) -> None:
    """So that the tests above show more than that nothing is ever done."""
    changed = left.archive / "vi/yard.png"
    changed.write_bytes((left.archive / "vi/gate.png").read_bytes())
    assert todo(planned(FuseArchiveSettings(**left.laplacian()))) == ["pier", "yard"]
    assert todo(planned_scores(ScoreArchiveSettings(**left.scoring()))) == ["yard"]


def test_every_row_is_read_and_its_image_is_the_one_it_names(left: Left) -> None:
    rows = read_manifest(str(left.output / "manifest"), latest=False)
    assert rows.schema.names == MANIFEST_SCHEMA.names
    assert len(rows) == 12
    for row in rows.to_pylist():
        assert row["date"] == DAY
        assert row["software_version"] == "0.1.0"
        if row["status"] == "failed":
            assert (row["pair_id"], row["stage"], row["fused_url"]) == ("pier", "decode", None)
            assert "ir/pier.png: the image is damaged" in row["error_message"]
            continue
        image = left.output / row["fused_url"].removeprefix("/srv/archive-fused/")
        assert hashlib.sha256(image.read_bytes()).hexdigest() == row["fused_sha256"]
        assert all(row[name] is not None for name in METRIC_NAMES)
    (scene,) = [row for row in rows.to_pylist() if row["fused_format"] == "cog"]
    assert (scene["bands"], scene["data_type"], scene["crs"]) == (2, "uint16", "EPSG:32654")


def test_each_pair_is_read_once_by_method(left: Left) -> None:
    newest = read_manifest(str(left.output / "manifest"), columns=["pair_id", "method", "status"])
    found = {(row["pair_id"], row["method"]): row["status"] for row in newest.to_pylist()}
    assert len(found) == len(newest) == 12
    scored = read_manifest(str(left.output / "scores"), filters=[("status", "=", "ok")])
    assert scored.group_by("method").aggregate([("pair_id", "count")]).num_rows == 2


def test_pandas_reads_the_rows_without_this_software(left: Left) -> None:
    rows = pd.read_parquet(left.output / "manifest")
    assert rows["status"].value_counts().to_dict() == {"ok": 10, "failed": 2}
    assert [*rows.columns] == [*before_schema_5(PART_SCHEMA.names), "date"]
    assert len(pd.read_parquet(left.output / "scores")) == 5


def test_a_dead_runs_lease_is_taken_over_and_what_it_announced_is_closed(left: Left) -> None:
    output = Storage(str(left.output))
    before = read_manifest(output.url("manifest"), latest=False)
    assert newest_generation(output) == 6
    dead = read_record(output, 6)
    assert dead is not None
    assert (dead.host, dead.released, dead.settled) == ("night", False, 5)
    announced = [part for listed in declared_intents(output, 6) for part in listed]
    open_parts = [part for part in announced if not output.exists(part)]
    assert (len(announced), len(open_parts)) == (4, 2)
    lease = acquire(lambda: output, "after", seconds=1.0, wait=False)
    try:
        assert lease.generation == 7
        publisher = Publisher(lambda: output, lease)
        assert publisher.take_over().tombstones == 2
        publisher.finish()
    finally:
        lease.release()
    for part in open_parts:
        table, closed_by = read_part_or_tombstone(output, part)
        assert (len(table), closed_by) == (0, "after")
    assert read_manifest(output.url("manifest"), latest=False).equals(before)
    after = read_record(output, 7)
    assert after is not None
    assert (after.released, after.complete, after.settled) == (True, True, 6)


def test_a_part_that_was_closed_before_stays_closed(left: Left) -> None:
    output = Storage(str(left.output))
    dead, successor = read_record(output, 2), read_record(output, 3)
    assert dead is not None
    assert successor is not None
    assert not dead.released
    ((part,),) = declared_intents(output, 2)
    table, closed_by = read_part_or_tombstone(output, part)
    assert (len(table), closed_by) == (0, successor.run_id)


ALONE = Reporter(options=dict, report=lambda event: None)


def trained(settings: TrainSettings, reporter: Reporter = ALONE) -> list[dict[str, Any]]:
    """Train to the end; return the log's records."""
    run_training(plan_training(settings, {})[0], WorkerRank(), reporter)
    log = json.loads((Path(settings.output) / "log.json").read_text())
    assert log["finished"]
    records: list[dict[str, Any]] = log["records"]
    return records


def test_a_training_goes_on_from_its_checkpoint_to_the_loss_that_it_would_have_had(
    tmp_path: Path, left: Left
) -> None:
    stopped = json.loads((left.folder / "training/log.json").read_text())["records"]
    assert [record["step"] for record in stopped] == [10]
    events: list[ProgressEvent] = []
    resumed = TrainSettings(**left.training(left.folder / "training"))
    records = trained(resumed, Reporter(options=dict, report=events.append))
    assert records[:1] == stopped
    assert [event.step for event in events if event.record] == [20, 30, 40, 50, 60]
    whole = trained(TrainSettings(**left.training(tmp_path / "whole")))
    # The first ten steps were taken on another machine, which may round otherwise: weights that
    # differ by a millionth change these losses by less than 1e-7, and an optimiser that begins anew
    # by 5e-4.
    for found, expected in zip(timeless(records), timeless(whole), strict=True):
        assert found["step"] == expected["step"]
        assert found["learning_rate"] == pytest.approx(expected["learning_rate"])
        assert found["loss"] == pytest.approx(expected["loss"], rel=1e-4)
        assert found["terms"] == pytest.approx(expected["terms"], rel=1e-3)
        assert bool(found["validation"]) == bool(expected["validation"])
        if expected["validation"]:  # of the averaged weights
            assert found["validation"]["loss"] == pytest.approx(
                expected["validation"]["loss"], rel=1e-4
            )


def test_a_finished_training_is_known_by_its_log(left: Left) -> None:
    settings = TrainSettings(**left.training(left.folder / "training-done"))
    log = finished_log(plan_training(settings, {})[0], {})
    assert log is not None
    assert log.records[-1].step == 60


def test_trained_weights_are_read_under_the_same_hash_and_fuse(left: Left) -> None:
    url = str(left.folder / "training/weights.safetensors")
    model, info = load_weights(url)
    assert (model.config.widths, model.config.levels) == ((4, 4, 4), 3)
    assert info.training["result"]["step"] == 10
    assert read_model(url).model_hash == hashlib.sha256(Path(url).read_bytes()).hexdigest()
    ir, vi = (torch.rand(24, 32).mul(255).byte().numpy() for _ in range(2))
    assert fuse(ir, vi, model=url).shape == (24, 32)


def test_the_catalogue_of_an_output_that_was_moved_leads_to_its_items(left: Left) -> None:
    url = write_scene_catalog(Storage(str(left.output)), "catalog")
    assert url == str(left.output / "catalog.json")
    root = pystac.Catalog.from_file(url)
    (item,) = root.get_items(recursive=True)
    written = left.output / str(item.get_self_href())
    assert json.loads(written.read_text())["id"] == item.id
    table = pq.read_table(left.output / "stac/date=2026-11-19/items.parquet", partitioning=None)
    assert table["id"].to_pylist() == [item.id]
    alone = pystac.Item.from_file(str(written))
    assert alone.get_root() is not None, "its links lead to the root, as it has been written"
    assert [link.href for link in alone.links if link.rel == "parent"] == [
        link.href for link in alone.links if link.rel == "root"
    ]
