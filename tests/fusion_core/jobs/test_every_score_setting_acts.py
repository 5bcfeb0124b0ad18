"""Every setting that decides scores changes those of a pair that it says something of."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import TODAY, picture_pair, png, score_settings_for, write_fused

from fusion_core.archive.layout import SCORES_FOLDER, part_path
from fusion_core.archive.parts import read_part
from fusion_core.archive.plan import Chunk, cut_chunks, make_plan
from fusion_core.archive.schema import PART_SCHEMA
from fusion_core.jobs.identity import RunIdentity
from fusion_core.jobs.listing import list_fused
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.jobs.scoring_worker import ScoringWorker
from fusion_core.metrics import METRIC_NAMES
from fusion_core.settings.scaling import ScalingSettings
from fusion_core.storage.store import Storage

CHANGES: dict[str, Any] = {
    "size_mismatch": "resize_ir",
    "scaling": "type",
    "percentiles": (5, 80),
    "ir_range": (7000, 9000),
    "vi_range": (20, 90),
    "nodata": 0,
    "convention": "textbook",
}


def scored(folder: Path, *, deep: bool = True, smaller: bool = False, **changes: Any) -> Any:
    """Score the fused image of one pair, of counts unless it isn't deep; return its row."""
    root = folder / uuid.uuid4().hex
    settings = score_settings_for(root / "source", root / "output", "m", **changes)
    source, output = Storage(settings.source), Storage(settings.output)
    ir, vi = picture_pair(5)
    counts = 7000 + 20 * ir.astype(np.uint16)
    counts[:4] = 0
    infrared = counts if deep else ir
    source.write("ir/a.png", png(infrared[::2, ::2] if smaller else infrared))
    source.write("vi/a.png", png(vi))
    write_fused(settings.source, "m", ["a"])
    pairing, images = list_fused(settings, source, output, TODAY, {})
    plan = make_plan(pairing, PART_SCHEMA.empty_table(), images=images.images)
    (chunk,) = cut_chunks(plan.todo, "key", 9)
    run = RunIdentity("first", TODAY, None, settings.settings_hash())
    worker = ScoringWorker(source, output, fused={"m": source}, settings=settings, run=run)
    worker.run(Chunk("part", chunk.pairs))
    (row,) = read_part(output, part_path(TODAY, "part", SCORES_FOLDER)).to_pylist()
    return row


def scores(row: dict[str, Any]) -> list[float | None]:
    return [row[name] for name in METRIC_NAMES]


def test_what_is_gone_through_is_what_the_hash_is_made_of() -> None:
    assert {*CHANGES} == {*ScalingSettings.model_fields, "convention"}
    base = score_settings_for("in", "out", "m")
    hashes = {
        score_settings_for("in", "out", "m", **{k: v}).settings_hash() for k, v in CHANGES.items()
    }
    assert len(hashes | {base.settings_hash()}) == len(CHANGES) + 1
    others = {"limit": 3, "reprocess": "all", "max_failed": 0.5, "memory_mb": 99, "prefix": "x"}
    assert {*others} <= {*ScoreArchiveSettings.model_fields}
    assert score_settings_for("in", "out", "m", **others).settings_hash() == base.settings_hash()


@pytest.mark.parametrize("name", sorted({*CHANGES} - {"size_mismatch"}))
def test_a_setting_changes_the_scores_of_a_pair_of_counts(name: str, tmp_path: Path) -> None:
    before, after = scored(tmp_path), scored(tmp_path, **{name: CHANGES[name]})
    assert (before["status"], after["status"]) == ("ok", "ok"), after["error_message"]
    assert None not in scores(before)
    assert scores(before) != scores(after)
    assert scores(before) == scores(scored(tmp_path))
    assert (before["remark"], after["remark"]) == (None, None)


def test_a_smaller_infrared_is_scored_where_it_may_be_resized(tmp_path: Path) -> None:
    assert scored(tmp_path, smaller=True)["error_type"] == "SizeMismatchError"
    assert scored(tmp_path, smaller=True, size_mismatch="resize_ir")["status"] == "ok"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "scaled by their type's range, and the percentiles had no part in it"),
        ({"ir_range": (0, 99)}, "scaled by a fixed range and their type's range, and the percen"),
    ],
)
def test_percentiles_that_no_image_is_scaled_by_are_named_by_the_row(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    before = scored(tmp_path, deep=False, **changes)
    after = scored(tmp_path, deep=False, percentiles=(5, 80), **changes)
    assert scores(before) == scores(after)
    assert before["remark"] is None
    assert told in after["remark"]
