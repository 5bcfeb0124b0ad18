import numpy as np
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


def taught(teacher: Counting | None = None, versions: int = 2, seed: int = 1) -> TaughtCrops:
    return TaughtCrops(IMAGES, 16, teacher or Counting(), versions=versions, seed=seed)


def test_the_target_is_what_the_teacher_makes_of_the_pair() -> None:
    batch = taught().random_batch(6, seed=1, step=2)
    assert batch.target is not None
    assert batch.ir.shape == batch.target.shape == (6, 1, 16, 16)
    assert torch.allclose(batch.target, torch.maximum(batch.ir, batch.vi), atol=1e-5)


def test_batches_depend_on_seed_and_step_alone() -> None:
    first, again = taught(), taught()
    again.random_batch(4, seed=1, step=1)
    one, other = (each.random_batch(4, seed=1, step=7) for each in (first, again))
    assert torch.equal(one.ir, other.ir)
    assert torch.equal(one.levels, other.levels)  # type: ignore[arg-type]
    assert not torch.equal(one.ir, first.random_batch(4, seed=1, step=8).ir)


def test_the_teacher_sees_whole_images_once_for_each_version() -> None:
    teacher = Counting()
    crops = taught(teacher, versions=2)
    for step in range(40):
        crops.random_batch(4, seed=1, step=step)
    assert len(teacher.shapes) == 2 * len(IMAGES)
    whole = IMAGES[0][0].shape
    assert teacher.shapes.count(whole) >= len(IMAGES)


def test_other_versions_are_smaller_or_flatter_and_the_first_is_the_pair() -> None:
    teacher = Counting()
    crops = taught(teacher, versions=30)
    for step in range(120):
        crops.random_batch(4, seed=1, step=step)
    assert min(height for height, _ in teacher.shapes) < IMAGES[0][0].shape[0]
    centre = crops.centre_batch()
    top, left = ((side - 16) // 2 for side in IMAGES[1][0].shape)
    cut = IMAGES[1][0][top : top + 16, left : left + 16]
    assert np.array_equal((centre.ir[1, 0] * 255).round().numpy(), cut)


def test_crops_know_the_levels_of_their_whole_image() -> None:
    batch = taught().centre_batch()
    ir, vi = (torch.from_numpy(side)[None, None] / 255 for side in IMAGES[2])
    assert batch.levels is not None
    assert batch.pooling is not None
    assert torch.equal(batch.levels[2:], image_levels(ir, vi))
    assert batch.between(2, 3).levels is not None
    assert torch.equal(batch.between(2, 3).levels, batch.levels[2:])  # type: ignore[arg-type]


def test_images_smaller_than_a_crop_are_continued() -> None:
    small: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]] = [
        (ir[:9, :12].copy(), vi[:9, :12].copy()) for ir, vi in IMAGES
    ]
    crops = TaughtCrops(small, 16, Counting(), versions=1, seed=0)
    assert crops.random_batch(2, seed=0, step=0).ir.shape == (2, 1, 16, 16)
