"""Each head against boxes computed by hand, and against plain loops."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion_core.detection.description import Description
from fusion_core.detection.heads import decode
from fusion_core.errors import WeightsError


def described(head: str, **changes: Any) -> Description:
    fields: dict[str, Any] = {"head": head, "size": (32, 64), "classes": ("a", "b", "c")}
    return Description(**{**fields, "strides": (16, 32), **changes})


def by_loops(output: NDArray[Any], strides: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """Decode YOLOX's output as its paper describes it."""
    found, place = [], 0
    for stride in strides:
        for y in range(32 // stride):
            for x in range(64 // stride):
                a, b, c, d, there, *classes = map(float, output[0, place])
                place += 1
                middle = (a + x) * stride, (b + y) * stride
                half = math.exp(c) * stride / 2, math.exp(d) * stride / 2
                best = max(range(3), key=lambda k: classes[k])
                low = [m - h for m, h in zip(middle, half, strict=True)]
                high = [m + h for m, h in zip(middle, half, strict=True)]
                found.append(((*low, *high), there * classes[best], best))
    return found


def test_yolox_by_hand() -> None:
    output = np.zeros((1, 10, 8), np.float32)
    output[0, 6] = [0.5, 0.25, math.log(2), math.log(0.5), 0.5, 0.1, 0.8, 0.2]
    boxes, scores, classes = decode(output, described("yolox"))
    # Cell 6 is the third one of the second row of stride 16: x is 2 and y is 1.
    assert boxes[6] == pytest.approx([40 - 16, 20 - 4, 40 + 16, 20 + 4])
    assert (scores[6], classes[6]) == (pytest.approx(0.4), 1)


def test_yolox_by_loops() -> None:
    rng = np.random.default_rng(3)
    output = rng.normal(size=(1, 10, 8)).astype(np.float32)
    boxes, scores, classes = decode(output, described("yolox"))
    for k, (box, score, best) in enumerate(by_loops(output, (16, 32))):
        assert boxes[k] == pytest.approx(box)
        assert (scores[k], classes[k]) == (pytest.approx(score), best)


def test_yolov5_and_yolov8_by_hand() -> None:
    five = np.array([[[10, 20, 4, 6, 0.5, 0.2, 0.1, 0.9]]], np.float32)
    boxes, scores, classes = decode(five, described("yolov5"))
    assert (boxes[0].tolist(), scores[0], classes[0]) == ([8, 17, 12, 23], pytest.approx(0.45), 2)
    eight = np.delete(five, 4, axis=2).transpose(0, 2, 1)
    boxes, scores, classes = decode(eight, described("yolov8"))
    assert (boxes[0].tolist(), scores[0], classes[0]) == ([8, 17, 12, 23], pytest.approx(0.9), 2)


@pytest.mark.parametrize(
    ("head", "shape", "wanted"),
    [
        ("yolox", (1, 9, 8), "[1, 10, 8]"),
        ("yolox", (1, 10, 7), "[1, 10, 8]"),
        ("yolov5", (1, 8, 20), "[1, 'N', 8]"),
        ("yolov8", (1, 20, 7), "[1, 7, 'N']"),
        ("yolov8", (2, 7, 20), "[1, 7, 'N']"),
        ("yolov5", (20, 8), "[1, 'N', 8]"),
    ],
)
def test_an_output_of_another_shape_is_refused(
    head: str, shape: tuple[int, ...], wanted: str
) -> None:
    with pytest.raises(WeightsError) as refused:
        decode(np.zeros(shape, np.float32), described(head))
    assert f"shape {list(shape)}; expected {wanted}" in str(refused.value)


def test_an_output_that_is_not_finite_is_refused() -> None:
    output = np.full((1, 7, 3), np.nan, np.float32)
    with pytest.raises(WeightsError, match="infinities or NaN"):
        decode(output, described("yolov8"))
