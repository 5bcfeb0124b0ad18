"""Steadiness of small invented videos."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("cv2", reason="optical flow needs opencv-python-headless")

from flicker import consistency_of
from optical_flow import OpticalFlow

SHAPE = (48, 64)


def texture(seed: int) -> NDArray[np.float64]:
    """A smooth field of grey levels, wider than a frame."""
    random = np.random.default_rng(seed)
    field = random.normal(size=(SHAPE[0], SHAPE[1] + 40))
    for axis in (0, 1):
        field = sum(np.roll(field, k, axis) for k in range(-3, 4))
    return np.clip(128 + field * 40 / field.std(), 0, 255)


def video(seed: int, speed: int, count: int = 6) -> Iterator[NDArray[np.uint8]]:
    field = texture(seed).round().astype(np.uint8)
    for k in range(count):
        yield field[:, k * speed : k * speed + SHAPE[1]]


def flickering(seed: int, speed: int, by: int) -> Iterator[NDArray[np.uint8]]:
    for k, frame in enumerate(video(seed, speed)):
        yield np.clip(frame.astype(int) + by * (k % 2), 0, 255).astype(np.uint8)


def test_flow_finds_a_shift() -> None:
    one, other = list(video(1, speed=3, count=2))
    flow = OpticalFlow().between(one, other)[8:-8, 8:-8]
    assert np.abs(np.median(flow, axis=(0, 1)) - [-3, 0]).max() < 0.3
    with pytest.raises(ValueError, match="too small"):
        OpticalFlow().between(one[:8], other[:8])


def test_a_still_video_has_no_error_and_flicker_is_its_own_height() -> None:
    found = consistency_of(video(1, 0), video(2, 0), video(1, 0))
    assert found == {
        **{"frames": 6, "biswe": 0.0, "ms2r": 0.0, "flow_d": 0.0},
        **{"static_change": 0.0, "static_share": 1.0},
    }
    flickers = consistency_of(video(1, 0), video(2, 0), flickering(1, 0, by=4))
    assert flickers["static_change"] == pytest.approx(4, abs=0.1)
    assert flickers["flow_d"] == pytest.approx(4, abs=0.1)
    assert 0 < (flickers["biswe"] or 0) <= 8


def test_flicker_of_a_moving_video_is_told_from_its_motion() -> None:
    steady = consistency_of(video(1, 2), video(2, 2), video(1, 2))
    flickers = consistency_of(video(1, 2), video(2, 2), flickering(1, 2, by=12))
    for name in ("biswe", "flow_d", "ms2r"):
        assert (flickers[name] or 0) > 1.5 * (steady[name] or 0), name


def test_measures_of_too_few_frames_are_none() -> None:
    one = consistency_of(video(1, 0, 1), video(2, 0, 1), video(1, 0, 1))
    assert one["frames"] == 1
    assert {value for name, value in one.items() if name != "frames"} == {None}
    two = consistency_of(video(1, 0, 2), video(2, 0, 2), video(1, 0, 2))
    assert two["biswe"] is None
    assert two["flow_d"] == 0
    with pytest.raises(ValueError, match="argument"):
        consistency_of(video(1, 0, 2), video(2, 0, 2), video(1, 0, 3))


def test_frames_are_taken_one_by_one() -> None:
    taken = [0, 0]

    def counted(k: int) -> Iterator[NDArray[np.uint8]]:
        for frame in video(k, 0):
            taken[k] += 1
            assert abs(taken[0] - taken[1]) <= 1
            yield frame

    assert consistency_of(counted(0), counted(1), video(1, 0))["frames"] == 6
