"""Scores a training's averaged weights on pairs kept apart: loss on crops, metrics on images."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fusion_core.metrics import METRIC_NAMES
from fusion_core.metrics.columns import score_columns
from fusion_core.models.network_fuser import NetworkFuser
from fusion_core.training.data import CropSource
from fusion_core.training.distilling import TaughtCrops
from fusion_core.training.losses import loss_terms
from fusion_core.training.reading import Pairs
from fusion_core.training.record import ValidationScores
from fusion_core.training.trainer import Trainer


class Validator:
    """Validates a trainer on the pairs kept apart, which it reads each time."""

    def __init__(self, images: Pairs, crops: CropSource | TaughtCrops) -> None:
        """Read nothing yet.

        Args:
            images: The pairs, at least one.
            crops: Cuts the crops of them that the loss is computed on.
        """
        self._images = images
        self._crops = crops

    def __call__(self, trainer: Trainer) -> ValidationScores:
        """Score the averaged weights; whole images are fused and rounded to 8 bits."""
        recipe, device = trainer.recipe, trainer.device
        fuser = NetworkFuser(trainer.averaged(), device, recipe.precision)
        terms = self._loss_terms(fuser, trainer)
        rows = [self._score(fuser, ir, vi) for ir, vi in self._images]
        return ValidationScores(loss=sum(terms.values()), terms=terms, **_means(rows))

    @torch.inference_mode()
    def _loss_terms(self, fuser: NetworkFuser, trainer: Trainer) -> dict[str, float]:
        totals: dict[str, float] = {}
        count = 0
        for crops in self._crops.centre_batches(trainer.recipe.batch):
            batch = crops.to(trainer.device)
            fused = fuser(batch.ir, batch.vi, batch.pooling)
            terms = loss_terms(fused, batch, trainer.recipe.loss)
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + float(term) * len(batch.ir)
            count += len(batch.ir)
        return {name: total / count for name, total in totals.items()}

    def _score(
        self, fuser: NetworkFuser, ir: NDArray[np.uint8], vi: NDArray[np.uint8]
    ) -> dict[str, Any]:
        a, b = (torch.from_numpy(image)[None, None].float() / 255 for image in (ir, vi))
        fused = (fuser(a, b)[0, 0] * 255).round().to(torch.uint8).cpu().numpy()
        return score_columns(ir, vi, fused, fuser.device)


def _means(rows: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    defined = {name: [row[name] for row in rows if row[name] is not None] for name in METRIC_NAMES}
    return {name: statistics.fmean(v) if v else None for name, v in defined.items()}
