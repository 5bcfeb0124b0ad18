from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import picture_pair

from fusion_core.training.data import CropSource
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.saliency_masks import saliency, source_masks

Grey = NDArray[np.uint8]


@pytest.fixture
def images() -> list[tuple[Grey, Grey]]:
    """Hot pixels on a cold ground, and a slope; of five sizes."""
    random = np.random.default_rng(7)
    pairs = []
    for index in range(5):
        shape = (20 + index, 30)
        slope = np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 3
        hot = np.where(random.random(shape) > 0.9, 255, 40)
        pairs.append((hot.astype(np.uint8), slope.astype(np.uint8)))
    return pairs


def test_batches_depend_on_seed_and_step_alone(images: list[tuple[Grey, Grey]]) -> None:
    source = CropSource(images[:2], 16, LossConfig())
    first = source.random_batch(4, seed=1, step=5)
    source.random_batch(4, seed=1, step=6)
    again, other = source.random_batch(4, seed=1, step=5), source.random_batch(4, seed=1, step=6)
    assert torch.equal(first.ir, again.ir)
    assert torch.equal(first.masks.vi, again.masks.vi)
    assert not torch.equal(first.vi, other.vi)
    assert first.ir.shape == first.masks.ir.shape == (4, 1, 16, 16)


def test_the_parts_of_a_batch_make_it_up(images: list[tuple[Grey, Grey]]) -> None:
    batch = CropSource(images, 16, LossConfig()).random_batch(6, seed=1, step=5)
    parts = [batch.part(rank, 3) for rank in range(3)]
    assert [len(part.ir) for part in parts] == [2, 2, 2]
    assert torch.equal(torch.cat([part.vi for part in parts]), batch.vi)
    assert torch.equal(torch.cat([part.masks.ir for part in parts]), batch.masks.ir)


def test_what_is_salient_is_judged_on_the_whole_image(images: list[tuple[Grey, Grey]]) -> None:
    batch = next(CropSource(images[:1], 16, LossConfig()).centre_batches(1))
    ir, vi = (torch.from_numpy(image)[None, None].float() / 255 for image in images[0])
    salient = saliency(ir, 1.2, 0.55)[..., 2:18, 7:23]
    assert torch.equal(batch.ir, ir[..., 2:18, 7:23])
    masks = source_masks(batch.ir, vi[..., 2:18, 7:23], LossConfig(), salient)
    assert torch.equal(batch.masks.ir, masks.ir)
    assert torch.equal(batch.masks.vi, masks.vi)


def test_crops_of_all_layers_stay_aligned() -> None:
    ir = np.full((40, 40), 20, np.uint8)
    ir[:9, 4:30] = 255  # a bar that no turn or flip leaves where it is
    source = CropSource([(ir, ir)], 24, LossConfig(contrast_threshold=1))  # salient pixels only
    batch = source.random_batch(32, seed=0, step=0)
    middle = (batch.ir.amax((2, 3), keepdim=True) + batch.ir.amin((2, 3), keepdim=True)) / 2
    seen = batch.masks.ir.amax((1, 2, 3)) > 0
    assert 10 < seen.sum() < 32
    agree = ((batch.ir > middle) == (batch.masks.ir > 0))[seen].float().mean()
    assert agree > 0.97


def test_half_of_the_images_get_less_contrast_and_stay_in_range() -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (8, 1))
    whole = CropSource([(ramp, ramp)], 256, LossConfig(neighbourhood=3))
    spans, lows = [], []
    for step in range(60):
        batch = whole.random_batch(4, seed=3, step=step)
        for image in torch.cat((batch.ir, batch.vi)):
            spans.append(float(image.max() - image.min()))
            lows.append(float(image.min()))
            assert image.min() >= 0
            assert image.max() <= 1 + 1e-6
    changed = [low for span, low in zip(spans, lows, strict=True) if span < 0.999]
    assert 0.4 < len(changed) / len(spans) < 0.6
    assert 0.35 < sum(low == 0 for low in changed) / len(changed) < 0.65
    assert min(spans) == pytest.approx(0.2, abs=0.05)


def test_half_of_the_crops_are_shrunk() -> None:
    """A shrunk ramp is steeper; here no crop's contrast can hide it, for it keeps to 4 and 6.4."""
    ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    source = CropSource([(ramp, ramp)], 32, LossConfig(neighbourhood=3))
    steeper = 0
    for step in range(60):
        for image in source.random_batch(4, seed=5, step=step).ir[:, 0]:
            slopes = torch.cat((image.diff(dim=0).flatten(), image.diff(dim=1).flatten())) * 255
            steeper += bool(slopes.abs().quantile(0.9) > 4.05)
    assert 0.2 < steeper / 240 < 0.5  # those of half the crops whose contrast is not lowered below


def test_what_is_salient_in_a_shrunk_crop_stays_a_mask() -> None:
    hot = np.zeros((40, 40), np.uint8)
    hot[10:20, 10:20] = 255
    source = CropSource([(hot, hot)], 25, LossConfig(neighbourhood=3))
    for step in range(20):
        masks = source.random_batch(2, seed=0, step=step).masks
        for mask in masks:
            assert set(mask.unique().tolist()) <= {0.0, 1.0}


def test_images_smaller_than_the_crop_are_padded(images: list[tuple[Grey, Grey]]) -> None:
    (batch,) = CropSource(images[:1], 64, LossConfig()).centre_batches(2)
    assert batch.ir.shape == (1, 1, 64, 64)


def pictures() -> list[tuple[Grey, Grey]]:
    """Seven pairs, of which some are smaller than a crop of 24."""
    return [(ir, vi[..., 1]) for ir, vi in (picture_pair(k, (20 + 3 * k, 44)) for k in range(7))]


def test_batches_are_those_that_the_packaged_weights_were_trained_on() -> None:
    """As version 0.1.0 cut them, which read all pairs at the start and held them."""
    batch = CropSource(pictures(), 24, LossConfig()).random_batch(3, seed=5, step=4)
    assert batch.ir.mean((1, 2, 3)).tolist() == pytest.approx([0.57209, 0.64754, 0.64521], abs=2e-5)
    assert batch.vi[:, 0, 3, 7].tolist() == pytest.approx([0.43437, 0.15446, 0.49804], abs=2e-5)


@pytest.mark.parametrize("most_bytes", [0, 5000, 1 << 20])
def test_what_is_kept_changes_no_batch(most_bytes: int) -> None:
    held = CropSource(pictures(), 24, LossConfig())
    bounded = CropSource(pictures(), 24, LossConfig(), most_bytes)
    for step in range(6):
        one, other = (each.random_batch(3, seed=5, step=step) for each in (held, bounded))
        assert torch.equal(one.ir, other.ir)
        assert torch.equal(one.vi, other.vi)
        assert torch.equal(one.masks.ir, other.masks.ir)


def test_a_batch_says_beforehand_what_it_will_read() -> None:
    read: list[int] = []

    class Watched(list[tuple[Grey, Grey]]):
        def __getitem__(self, number: Any) -> Any:
            read.append(number)
            return super().__getitem__(number)

    source = CropSource(Watched(pictures()), 24, LossConfig())
    for step in range(6):
        read.clear()
        foretold = source.unread(3, seed=5, step=step)
        source.random_batch(3, seed=5, step=step)
        assert list(dict.fromkeys(foretold)) == read
    assert source.unread(3, seed=5, step=0) == []


def test_centres_come_some_pairs_at_a_time(images: list[tuple[Grey, Grey]]) -> None:
    source = CropSource(images, 16, LossConfig())
    (whole,) = source.centre_batches(5)
    parts = list(source.centre_batches(2))
    assert [len(part.ir) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.ir for part in parts]), whole.ir)
    assert torch.equal(torch.cat([part.masks.vi for part in parts]), whole.masks.vi)


def test_parts_are_blackened_in_both_images_and_all_else_is_as_without() -> None:
    bright = np.full((60, 60), 200, np.uint8)
    plain, black = (
        CropSource([(bright, bright)], 24, LossConfig(), black=share).random_batch(12, 3, step=1)
        for share in (0.0, 1.0)
    )
    dark = black.ir == 0
    assert torch.equal(dark, black.vi == 0)
    assert 0.05 < dark.float().mean() < 0.85
    assert torch.equal(black.ir[~dark], plain.ir[~dark])
    assert torch.equal(black.vi[~dark], plain.vi[~dark])
    assert (plain.ir > 0).all()
