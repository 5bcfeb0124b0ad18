import tracemalloc
from typing import Any

import numpy as np
import pytest
from metric_scenes import scene, streamed

from fusion_core.errors import MetricError
from fusion_core.metrics import METRIC_NAMES, StreamedScores, score, to_grey255
from fusion_core.metrics.columns import metric_columns, score_columns

RNG = np.random.default_rng(0)
IR, VI, FUSED = (RNG.integers(0, 256, (40, 50)).astype(np.uint8) for _ in range(3))


@pytest.mark.parametrize("convention", ["published", "textbook"])
def test_columns_are_the_scores_and_the_name_of_their_definitions(convention):
    columns = score_columns(IR, VI, FUSED, convention=convention)
    assert {name: columns[name] for name in METRIC_NAMES} == score(IR, VI, FUSED, convention)
    assert columns["metric_version"] == f"{convention}-1"
    assert columns["metrics_undefined"] is None
    assert len(columns) == len(METRIC_NAMES) + 2


def test_what_is_undefined_is_null_and_has_its_reason():
    columns = score_columns(np.full_like(IR, 9), VI, FUSED)
    assert [name for name in METRIC_NAMES if columns[name] is None] == ["vif", "scd"]
    assert columns["metrics_undefined"] == (
        "vif: the infrared image is constant; scd: the infrared image is constant"
    )


def test_scores_without_a_value_are_null_in_the_columns():
    columns = metric_columns(
        {"vif": float("nan"), "ag": 2.5, "scd": float("nan")},
        {"vif": "no pixel holds data", "scd": "no pixel holds data"},
        "published-1",
    )
    assert columns == {
        "vif": None,
        "ag": 2.5,
        "scd": None,
        "metrics_undefined": "vif: no pixel holds data; scd: no pixel holds data",
        "metric_version": "published-1",
    }


def test_reasons_are_those_of_the_convention():
    small = [image[:10, :10] for image in (IR, VI, FUSED)]
    assert "ssim" not in score_columns(*small)["metrics_undefined"]
    assert (
        "ssim: the image has 10x10 pixels and needs at least 11 a side"
        in (score_columns(*small, convention="textbook")["metrics_undefined"])
    )


def test_arrays_that_run_backwards_or_are_read_only_are_scored():
    turned = [image[::-1, ::-1] for image in (IR, VI, FUSED)]
    for image in turned:
        image.flags.writeable = False
    expected = score(*(image.copy() for image in turned))
    columns = score_columns(*turned)
    assert {name: columns[name] for name in METRIC_NAMES} == expected


def test_images_of_different_sizes_are_refused():
    with pytest.raises(MetricError, match=r"vi has shape \(1, 1, 40, 49\), expected that of ir"):
        score_columns(IR, VI[:, 1:], FUSED)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
def test_grey_values_in_strips_are_what_they_are_at_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    unit = rng.random((67, 90, 3), np.float32)
    image = unit if kind == "float32" else (unit * np.iinfo(kind).max).astype(kind)
    whole = to_grey255(image)
    monkeypatch.setattr("fusion_core.metrics.greyscale._STRIP", 500)
    np.testing.assert_array_equal(to_grey255(image), whole)


def test_what_a_large_image_takes_while_it_is_scored_is_not_its_type_in_fp64() -> None:
    image = np.zeros((1500, 2000, 3), np.uint8)
    tracemalloc.start()
    to_grey255(image)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 1500 * 2000  # 48 bytes a pixel at once


@pytest.mark.parametrize("convention", ["published", "textbook"])
def test_with_a_mask_the_columns_are_those_of_a_scene(convention: Any) -> None:
    images = scene(90, 110)
    rows, columns = np.indices((90, 110))
    valid = (rows + columns > 60) & (columns < 100)
    found = score_columns(*images, convention=convention, valid=valid)
    expected = streamed(images, convention, valid)
    assert {name: found[name] for name in METRIC_NAMES} == expected
    assert found["metric_version"] == f"{convention}-1"
    assert found["metrics_undefined"] is None


BORDERS = {"published": {"ag", "qabf"}, "textbook": set[str]()}
"""Metrics with a rule of their own for an image's edge, which the edge of a mask is not."""


@pytest.mark.parametrize("convention", ["published", "textbook"])
@pytest.mark.parametrize(
    "part", [np.s_[:, 48:], np.s_[:, :100], np.s_[32:, :], np.s_[:96, :]], ids=str
)
def test_a_mask_that_cuts_off_a_side_scores_as_the_crop_does(convention: Any, part: Any) -> None:
    images = scene(130, 150)
    valid = np.zeros((130, 150), bool)
    valid[part] = True
    spoiled = [np.where(valid, image, 255 - 200 * (k == 1)) for k, image in enumerate(images)]
    found = score_columns(
        *(image.astype(np.uint8) for image in spoiled), convention=convention, valid=valid
    )
    whole = score_columns(*images, convention=convention)
    crop = score_columns(*(image[part] for image in images), convention=convention)
    for name in METRIC_NAMES:
        if name not in BORDERS[convention]:
            assert found[name] == pytest.approx(crop[name], rel=1e-6), name
            assert abs(found[name] - whole[name]) > 1e-5, name  # the side would have counted


def test_nothing_under_the_mask_gives_no_score_but_reasons() -> None:
    columns = score_columns(IR, VI, FUSED, valid=np.zeros(IR.shape, bool))
    assert all(columns[name] is None for name in METRIC_NAMES)
    stream = StreamedScores(40, 50)
    window = next(iter(stream.windows()))
    stream.add(window, IR, VI, FUSED, valid=np.zeros(IR.shape, bool))
    reasons = stream.undefined()
    assert set(reasons) == set(METRIC_NAMES)
    assert columns["metrics_undefined"] == "; ".join(f"{n}: {why}" for n, why in reasons.items())
