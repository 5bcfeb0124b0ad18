import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import picture_pair
from torch import Tensor

from fusion_core.models.baselines import BaselineFuser
from fusion_core.models.mini_network import image_levels
from fusion_core.training.distilling import TaughtCrops

IMAGES = [(ir, vi[..., 1]) for ir, vi in map(picture_pair, range(3))]


class Counting(BaselineFuser):
    """The pixel maximum, which also counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__("maximum", "cpu", "auto")
        self.shapes: list[tuple[int, ...]] = []

    def __call__(self, ir: Tensor, vi: Tensor) -> Tensor:
        self.shapes.append(tuple(ir.shape[-2:]))
        return super().__call__(ir, vi)


Taught = Callable[..., TaughtCrops]


@pytest.fixture
def taught(tmp_path: Path) -> Taught:
    """Makes sources of crops, each with a folder of its own."""

    def make(
        teacher: Counting | None = None, versions: int = 2, images: Any = IMAGES
    ) -> TaughtCrops:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        return TaughtCrops(
            images, 16, teacher or Counting(), versions=versions, seed=1, folder=folder
        )

    return make


def test_the_target_is_what_the_teacher_makes_of_the_pair(taught: Taught) -> None:
    batch = taught().random_batch(6, seed=1, step=2)
    assert batch.target is not None
    assert batch.ir.shape == batch.target.shape == (6, 1, 16, 16)
    assert torch.allclose(batch.target, torch.maximum(batch.ir, batch.vi), atol=1e-5)


def test_batches_depend_on_seed_and_step_alone(taught: Taught) -> None:
    first, again = taught(), taught()
    again.random_batch(4, seed=1, step=1)
    one, other = (each.random_batch(4, seed=1, step=7) for each in (first, again))
    assert torch.equal(one.ir, other.ir)
    assert torch.equal(one.levels, other.levels)  # type: ignore[arg-type]
    assert not torch.equal(one.ir, first.random_batch(4, seed=1, step=8).ir)


def test_the_teacher_sees_whole_images_once_for_each_version(taught: Taught) -> None:
    teacher = Counting()
    crops = taught(teacher, versions=2)
    for step in range(40):
        crops.random_batch(4, seed=1, step=step)
    assert len(teacher.shapes) == 2 * len(IMAGES)
    whole = IMAGES[0][0].shape
    assert teacher.shapes.count(whole) >= len(IMAGES)


def test_other_versions_are_smaller_or_flatter_and_the_first_is_the_pair(taught: Taught) -> None:
    teacher = Counting()
    crops = taught(teacher, versions=30)
    for step in range(120):
        crops.random_batch(4, seed=1, step=step)
    assert min(height for height, _ in teacher.shapes) < IMAGES[0][0].shape[0]
    (centre,) = crops.centre_batches(3)
    top, left = ((side - 16) // 2 for side in IMAGES[1][0].shape)
    cut = IMAGES[1][0][top : top + 16, left : left + 16]
    assert np.array_equal((centre.ir[1, 0] * 255).round().numpy(), cut)


def test_crops_know_the_levels_of_their_whole_image(taught: Taught) -> None:
    (batch,) = taught().centre_batches(3)
    ir, vi = (torch.from_numpy(side)[None, None] / 255 for side in IMAGES[2])
    assert batch.levels is not None
    assert batch.pooling is not None
    assert torch.equal(batch.levels[2:], image_levels(ir, vi))
    assert batch.between(2, 3).levels is not None
    assert torch.equal(batch.between(2, 3).levels, batch.levels[2:])  # type: ignore[arg-type]


def test_images_smaller_than_a_crop_are_continued(taught: Taught) -> None:
    small: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = [
        (ir[:9, :12].copy(), vi[:9, :12].copy()) for ir, vi in IMAGES
    ]
    crops = taught(versions=1, images=small)
    assert crops.random_batch(2, seed=0, step=0).ir.shape == (2, 1, 16, 16)


def test_batches_are_those_of_before(taught: Taught) -> None:
    """As refinefuse-mini was trained on, when all versions were held in memory."""
    pairs = [(ir, vi[..., 1]) for ir, vi in (picture_pair(k, (20 + 3 * k, 44)) for k in range(7))]
    crops = taught(images=pairs)
    crops.size, crops._seed = 24, 3
    first = crops.random_batch(3, seed=5, step=3)
    assert first.ir.mean((1, 2, 3)).tolist() == pytest.approx([0.55627, 0.6819, 0.29186], abs=2e-5)
    assert first.vi[:, 0, 3, 7].tolist() == pytest.approx([0.46667, 0.3098, 0.45098], abs=2e-5)
    again = crops.random_batch(3, seed=5, step=3)  # from files
    assert torch.equal(first.ir, again.ir)
    assert torch.equal(first.target, again.target)  # type: ignore[arg-type]
    assert torch.equal(first.levels, again.levels)  # type: ignore[arg-type]


def test_what_is_fused_is_read_from_files_and_not_held(taught: Taught) -> None:
    crops = taught()
    assert not isinstance(crops._version(0, 1).stack, np.memmap)
    assert isinstance(crops._version(0, 1).stack, np.memmap)


def test_pairs_are_read_until_all_their_versions_are_fused(taught: Taught) -> None:
    crops = taught()
    drawn = crops.unread(4, seed=1, step=0)
    assert len(drawn) == 4
    for number in range(len(IMAGES)):
        crops._version(number, 0)
    assert crops.unread(4, seed=1, step=0) == drawn
    for number in range(len(IMAGES)):
        crops._version(number, 1)
    assert crops.unread(4, seed=1, step=0) == []


def test_on_a_full_disk_the_teacher_fuses_anew(
    taught: Taught, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = taught().random_batch(4, seed=1, step=3)

    def full(path: Path, array: Any) -> None:
        path.write_bytes(b"cut")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    teacher = Counting()
    crops = taught(teacher)
    for _ in range(2):
        found = crops.random_batch(4, seed=1, step=3)
        assert torch.equal(found.ir, expected.ir)
        assert torch.equal(found.target, expected.target)  # type: ignore[arg-type]
    assert len(teacher.shapes) == 8
    assert caplog.text.count("No space left") == 1
