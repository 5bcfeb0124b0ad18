"""Every metric that has no value says why."""

import numpy as np
import pytest

from fusion_core.metrics import METRIC_NAMES, score
from fusion_core.metrics.undefined import why_undefined

RNG = np.random.default_rng(0)
NOISE, OTHER = (RNG.integers(0, 200, (40, 40)).astype(np.uint8) for _ in range(2))
FLAT, BLACK = np.full((40, 40), 90, np.uint8), np.zeros((40, 40), np.uint8)


@pytest.mark.parametrize(
    ("metric", "images", "reason"),
    [
        ("vif", (FLAT, NOISE, OTHER), "the infrared image is constant"),
        ("vif", (NOISE, FLAT, OTHER), "the visible image is constant"),
        ("scd", (FLAT, BLACK, OTHER), "the infrared and the visible image is constant"),
        ("scd", (NOISE, OTHER, NOISE + 9), "differs from the infrared image by a constant"),
        ("scd", (NOISE, OTHER, OTHER), "differs from the visible image by a constant"),
        ("qabf", (BLACK, BLACK, OTHER), "no source has an edge"),
        ("vif", [x[:16] for x in (NOISE, OTHER, NOISE)], "has 40x16 pixels and needs at least 17"),
        ("ag", [x[:1] for x in (NOISE, OTHER, NOISE)], "has 40x1 pixels and needs at least 2"),
        ("sf", [x[:, :1] for x in (NOISE, OTHER, NOISE)], "has 1x40 pixels and needs at least 2"),
        ("ssim", [x[:6] for x in (NOISE, OTHER, NOISE)], "has 40x6 pixels and needs at least 7"),
    ],
)
def test_the_reason_names_the_rule_that_the_images_break(metric, images, reason):
    assert np.isnan(score(*images)[metric])
    assert reason in why_undefined(metric, *images)


@pytest.mark.parametrize(
    ("metric", "size", "reason"),
    [("ssim", 10, "needs at least 11 a side"), ("qabf", 2, "needs at least 3 a side")],
)
def test_the_textbook_definitions_have_windows_of_their_own(metric, size, reason):
    images = [x[:size] for x in (NOISE, OTHER, NOISE)]
    assert np.isnan(score(*images, convention="textbook")[metric])
    assert np.isfinite(score(*images)[metric])
    assert reason in why_undefined(metric, *images, convention="textbook")


def test_textbook_qabf_of_constant_sources_has_no_edge():
    images = (FLAT, BLACK, NOISE)
    assert np.isnan(score(*images, convention="textbook")["qabf"])
    assert why_undefined("qabf", *images, convention="textbook") == "no source has an edge"


def test_no_other_reason_is_needed():
    """Whatever is undefined for images of every awkward kind has a reason of its own."""
    kinds = [NOISE, OTHER, FLAT, BLACK, NOISE + 9]
    for ir in kinds:
        for vi in kinds:
            for fused in kinds:
                for size in (1, 2, 6, 10, 16, 40):
                    images = [x[:size] for x in (ir, vi, fused)]
                    for convention in ("published", "textbook"):
                        scores = score(*images, convention=convention)
                        for name in METRIC_NAMES:
                            if np.isnan(scores[name]):
                                reason = why_undefined(name, *images, convention=convention)
                                assert reason != "it is not a number", (name, size)
