"""A scene whose gaps leave a metric no value says why."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from metric_scenes import GAPS, filled_stream, gaps

from fusion_core.errors import MetricError
from fusion_core.metrics import METRIC_NAMES, StreamedScores
from fusion_core.metrics.counts import image_samples
from fusion_core.metrics.undefined import why_undefined

RNG = np.random.default_rng(0)
NOISE, OTHER, THIRD = (RNG.integers(0, 200, (40, 40)).astype(np.uint8) for _ in range(3))
FLAT, BLACK = np.full((40, 40), 90, np.uint8), np.zeros((40, 40), np.uint8)
SQUARE, NOWHERE = np.zeros((2, 40, 40), bool)
SQUARE[10:30, 11:31] = True


def only(rows: slice, columns: slice) -> np.ndarray:
    valid = np.zeros((40, 40), bool)
    valid[rows, columns] = True
    return valid


def inside(value: int, image: np.ndarray) -> np.ndarray:
    return np.where(SQUARE, value, image).astype(np.uint8)


@pytest.mark.parametrize("convention", ["published", "textbook"])
def test_without_any_data_no_metric_has_a_value(convention):
    stream = filled_stream([NOISE, OTHER, THIRD], convention, NOWHERE, 16)
    assert stream.undefined() == dict.fromkeys(METRIC_NAMES, "no pixel holds data")


@pytest.mark.parametrize(
    ("convention", "valid", "expected"),
    [
        (
            "published",
            only(np.s_[2:18], np.s_[3:39]),
            {"vif": "no window of 17x17 pixels holds data only"},
        ),
        (
            "published",
            only(np.s_[2:8], np.s_[3:39]),
            {
                "vif": "no window of 17x17 pixels holds data only",
                "ssim": "no window of 7x7 pixels holds data only",
            },
        ),
        (
            "textbook",
            only(np.s_[12:22], np.s_[3:39]),
            {
                "vif": "no window of 17x17 pixels holds data only",
                "ssim": "no window of 11x11 pixels holds data only",
            },
        ),
        (
            "published",
            only(np.s_[2:4], np.s_[3:39]),
            {
                "vif": "no window of 17x17 pixels holds data only",
                "ag": "no pixel and its four nearest neighbours hold data",
                "qabf": "no window of 3x3 pixels holds data only",
                "ssim": "no window of 7x7 pixels holds data only",
            },
        ),
        (
            "textbook",
            only(np.s_[5:6], np.s_[3:39]),
            {
                "vif": "no window of 17x17 pixels holds data only",
                "ag": "no pixel and its right and lower neighbours hold data",
                "qabf": "no window of 3x3 pixels holds data only",
                "sf": "no two pixels that hold data lie one above the other",
                "ssim": "no window of 11x11 pixels holds data only",
            },
        ),
        (
            "published",
            only(np.s_[5:39:3], np.s_[39:]) | only(np.s_[5:20], np.s_[4:5]),
            {
                "vif": "no window of 17x17 pixels holds data only",
                "ag": "no pixel and its four nearest neighbours hold data",
                "qabf": "no window of 3x3 pixels holds data only",
                "sf": "no two pixels that hold data lie side by side",
                "ssim": "no window of 7x7 pixels holds data only",
            },
        ),
    ],
)
@pytest.mark.parametrize("tile", [16, 64])
def test_too_little_data_for_a_window_or_a_difference(convention, valid, expected, tile):
    assert filled_stream([NOISE, OTHER, THIRD], convention, valid, tile).undefined() == expected


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (
            (inside(90, NOISE), OTHER, THIRD),
            dict.fromkeys(("vif", "scd"), "the infrared image is constant"),
        ),
        (
            (NOISE, inside(0, OTHER), THIRD),
            dict.fromkeys(("vif", "scd"), "the visible image is constant"),
        ),
        (
            (inside(0, NOISE), inside(0, OTHER), THIRD),
            dict.fromkeys(("vif", "scd"), "the infrared and the visible image is constant")
            | {"qabf": "no source has an edge"},
        ),
        (
            (NOISE, OTHER, np.where(SQUARE, NOISE + 9, THIRD)),
            {"scd": "the fused image differs from the infrared image by a constant"},
        ),
        (
            (NOISE, OTHER, np.where(SQUARE, OTHER, THIRD)),
            {"scd": "the fused image differs from the visible image by a constant"},
        ),
    ],
)
@pytest.mark.parametrize("tile", [16, 64])
def test_images_that_are_constant_where_there_is_data(images, expected, tile):
    assert filled_stream(list(images), "published", SQUARE, tile).undefined() == expected


def test_a_source_that_varies_only_outside_the_windows_of_vif():
    valid = SQUARE | only(np.s_[5:10], np.s_[20:22])
    images = [NOISE, inside(90, OTHER), THIRD]
    expected = {"vif": "the visible image is constant wherever 17x17 pixels hold data only"}
    assert filled_stream(images, "published", valid, 64).undefined() == expected


def test_without_gaps_the_reasons_are_those_of_whole_images():
    kinds = [NOISE, OTHER, FLAT, BLACK, NOISE + 9]
    for ir in kinds:
        for vi in kinds:
            for fused in kinds[::2]:
                for size in (1, 2, 10, 20):
                    images = [x[:size] for x in (ir, vi, fused)]
                    for convention in ("published", "textbook"):
                        stream = filled_stream(images, convention, tile=16)
                        for name, reason in stream.undefined().items():
                            assert reason == why_undefined(name, *images, convention=convention)


@settings(max_examples=150)
@given(
    kind=st.sampled_from(GAPS),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    convention=st.sampled_from(("published", "textbook")),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_nan_has_a_reason_and_every_reason_a_nan(kind, shape, convention, seed):
    rng = np.random.default_rng(seed)
    kinds = np.array([NOISE, OTHER, THIRD, FLAT, BLACK])
    images = [kinds[i][: shape[0], : shape[1]] for i in rng.integers(0, 5, 3)]
    stream = filled_stream(images, convention, gaps(kind, shape, rng), 16)
    reasons = stream.undefined()
    assert reasons.keys() == {name for name, value in stream.scores().items() if np.isnan(value)}
    assert "it is not a number" not in reasons.values()


@settings(max_examples=100)
@given(
    kind=st.sampled_from(GAPS),
    shape=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    seed=st.integers(0, 2**32 - 1),
)
def test_places_are_counted_once_each(kind, shape, seed):
    valid = gaps(kind, shape, np.random.default_rng(seed))
    framed = np.pad(valid, 1, constant_values=True)
    rows, columns = np.nonzero(valid)
    crosses = [
        framed[i : i + 3, j : j + 3].ravel()[1:8:2] for i, j in zip(rows, columns, strict=True)
    ]
    images = [np.zeros(shape, np.uint8)] * 3
    counts = {}
    for convention in ("published", "textbook"):
        stream = filled_stream(images, convention, valid, 16)
        counts[convention] = image_samples(*shape, convention) - stream._lost
    forward = valid[:-1, :-1] & valid[1:, :-1] & valid[:-1, 1:]
    both = {
        "pixels": valid.sum(),
        "vertical": (valid[1:] & valid[:-1]).sum(),
        "horizontal": (valid[:, 1:] & valid[:, :-1]).sum(),
        "vif": windows_of_data(valid, 17),
    }
    published = {"ag": sum(cross.all() for cross in crosses), "qabf": windows_of_data(framed, 3)}
    textbook = {"ag": forward.sum(), "qabf": windows_of_data(valid, 3)}
    for convention, expected in (
        ("published", both | published | {"ssim": windows_of_data(valid, 7)}),
        ("textbook", both | textbook | {"ssim": windows_of_data(valid, 11)}),
    ):
        assert {name: counts[convention][name] for name in expected} == expected


def windows_of_data(valid: np.ndarray, size: int) -> int:
    if min(valid.shape) < size:
        return 0
    view = np.lib.stride_tricks.sliding_window_view(valid, (size, size))
    return int(view.all(axis=(2, 3)).sum())


def test_the_reasons_need_all_tiles():
    with pytest.raises(MetricError, match=r"1 tiles were not added"):
        StreamedScores(90, 100).undefined()
