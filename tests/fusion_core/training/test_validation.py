import math
import statistics
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from tiny import TINY, picture_pair, tiny_model

from fusion_core.metrics import METRIC_NAMES, score
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.training.data import CropSource
from fusion_core.training.loss_config import LossConfig
from fusion_core.training.losses import loss_terms
from fusion_core.training.read_ahead import LuminancePair
from fusion_core.training.recipe import Recipe
from fusion_core.training.trainer import Trainer
from fusion_core.training.validation import Validator

IMAGES = [(ir, vi[..., 1]) for ir, vi in map(picture_pair, range(3))]
RECIPE = Recipe(precision="fp32", network=TINY, crop=24, batch=2)


def validator(images: Sequence[LuminancePair]) -> Validator:
    return Validator(images, CropSource(images, 24, LossConfig()))


def test_the_averaged_weights_are_judged_on_whole_images_and_centre_crops() -> None:
    trainer = Trainer(RECIPE, 5, start=tiny_model())
    found = validator(IMAGES)(trainer)

    fuser = NetworkFuser(tiny_model(), "cpu", "fp32")
    scores = []
    for ir, vi in IMAGES:
        tensors = [torch.from_numpy(image)[None, None] / 255 for image in (ir, vi)]
        fused = np.rint(fuser(*tensors)[0, 0].numpy() * 255).astype(np.uint8)
        scores.append(score(ir, vi, fused))
    for name in METRIC_NAMES:
        assert found.metrics[name] == pytest.approx(statistics.fmean(row[name] for row in scores))

    batch = next(CropSource(IMAGES, 24, LossConfig()).centre_batches(3))
    fused_crops = fuser(batch.ir, batch.vi)
    terms = loss_terms(fused_crops, batch, LossConfig())
    assert found.loss == pytest.approx(float(sum(terms.values())), rel=1e-5)
    assert found.loss == pytest.approx(sum(found.terms.values()))


def test_validating_changes_no_training() -> None:
    trainer = Trainer(RECIPE, 5)
    before = trainer.state()
    validator(IMAGES)(trainer)
    after = trainer.state()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert trainer.model.training


def test_images_for_which_a_metric_is_undefined_are_left_out_of_its_mean() -> None:
    flat = np.full((24, 32), 7, np.uint8)
    trainer = Trainer(RECIPE, 5, start=tiny_model())
    both = validator([IMAGES[0], (flat, flat)])(trainer).metrics
    one = validator(IMAGES[:1])(trainer).metrics
    only = validator([(flat, flat)])(trainer).metrics
    undefined = [name for name in METRIC_NAMES if only[name] is None]
    assert undefined
    assert all(both[name] == one[name] for name in undefined)
    assert all(value is not None and math.isfinite(value) for value in both.values())
