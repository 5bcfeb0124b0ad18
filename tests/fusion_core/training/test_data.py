from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny import pair_refs, picture_pair, png, write_pairs

from fusion_core.errors import DecodeError, SizeMismatchError
from fusion_core.settings.run import PairSettings
from fusion_core.storage.store import Storage
from fusion_core.training.data import CropSource, read_luminances
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


def test_a_pair_is_read_as_the_luminance_that_fusing_sees(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["a"])
    (ref,) = pair_refs(tmp_path, ["a"])
    ir, vi = read_luminances(ref, Storage(str(tmp_path)), PairSettings(), 1)
    infrared, visible = picture_pair(int.from_bytes(b"a"))
    assert np.array_equal(ir, infrared)
    assert np.array_equal(vi, np.rint(visible @ [0.299, 0.587, 0.114]).astype(np.uint8))


def test_a_pair_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    write_pairs(tmp_path, ["a", "b"])
    (tmp_path / "ir/a.png").write_bytes(b"text")
    (tmp_path / "ir/b.png").write_bytes(png(np.zeros((9, 9), np.uint8)))
    storage, refs = Storage(str(tmp_path)), pair_refs(tmp_path, ["a", "b"])
    with pytest.raises(DecodeError, match=r"pair a can't be trained on: ir/a\.png"):
        read_luminances(refs[0], storage, PairSettings(), 1)
    with pytest.raises(SizeMismatchError, match=r"pair b .* infrared is 9x9"):
        read_luminances(refs[1], storage, PairSettings(), 1)
    ir, vi = read_luminances(refs[1], storage, PairSettings(size_mismatch="resize_ir"), 1)
    assert ir.shape == vi.shape


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
    batch = CropSource(images[:1], 16, LossConfig()).centre_batch()
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
    assert CropSource(images[:1], 64, LossConfig()).centre_batch().ir.shape == (1, 1, 64, 64)
