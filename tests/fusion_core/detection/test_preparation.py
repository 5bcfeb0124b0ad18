from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_core.detection.description import Description
from fusion_core.detection.preparation import place, prepare


def described(**changes: Any) -> Description:
    fields: dict[str, Any] = {"head": "yolox", "size": (16, 24), "classes": ("a",), "strides": (8,)}
    return Description(**{**fields, **changes})


def test_a_letterbox_by_hand() -> None:
    pixels = np.zeros((32, 16, 3), np.uint8)
    pixels[..., 0] = 200  # red
    values, placement = prepare(pixels, described())
    assert values.shape == (1, 3, 16, 24)
    assert values.dtype == np.float32
    assert (placement.left, placement.top, placement.scale_x, placement.scale_y) == (0, 0, 0.5, 0.5)
    assert (values[0, 2, :, :8] == 200).all()  # BGR
    assert (values[0, :2, :, :8] == 0).all()
    assert (values[0, :, :, 8:] == 114).all()
    centred, placement = prepare(pixels, described(letterbox="centre", channels="RGB", white=1))
    assert placement.left == 8
    assert centred[0, 0, :, 8:16] == pytest.approx(200 / 255)
    assert centred[0, :, :, :8] == pytest.approx(114 / 255)


def test_values_are_normalised_by_channel_and_may_come_last() -> None:
    pixels = np.full((16, 24, 3), (255, 51, 0), np.uint8)
    values, _ = prepare(
        pixels,
        described(
            **{"channels": "RGB", "white": 1, "mean": (0.5, 0.1, 0.25), "std": (0.5, 0.1, 0.25)},
            layout="NHWC",
        ),
    )
    assert values.shape == (1, 16, 24, 3)
    assert values[0, 3, 5] == pytest.approx([1, 1, -1], abs=1e-6)


@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    letterbox=st.sampled_from(["top-left", "centre", "none"]),
)
def test_a_box_comes_back_to_its_place(shape: tuple[int, int], letterbox: str) -> None:
    height, width = shape
    placement, high, across = place(height, width, described(letterbox=letterbox))
    low = placement.left, placement.top
    assert min(low) >= 0
    assert (low[1] + high <= 16, low[0] + across <= 24) == (True, True)
    whole = np.array([[*low, low[0] + across, low[1] + high]], np.float64)
    assert placement.to_image(whole)[0] == pytest.approx([0, 0, width, height])
    if letterbox != "none":  # one side is filled, and the other in proportion to a pixel
        assert high == 16 or across == 24
        assert abs(high - height * min(16 / height, 24 / width)) <= 1
