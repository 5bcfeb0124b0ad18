"""Opens what a process of a training reads: its pairs, a teacher, and the pairs kept apart.

All of it shares one bound on what is held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from fusion_core.archive.plan import PairRef
from fusion_core.models.fuser import load_fuser
from fusion_core.storage.scratch import scratch_folder
from fusion_core.storage.source import open_source
from fusion_core.training.batch import Batch
from fusion_core.training.data import CropSource
from fusion_core.training.distilling import TaughtCrops
from fusion_core.training.job import TrainingJob, WorkerRank
from fusion_core.training.reading import GoodPairs, read_luminances
from fusion_core.training.recipe import Recipe
from fusion_core.training.record import LeftOut
from fusion_core.training.settings import VERSIONS
from fusion_core.training.validation import Validator

Crops = CropSource | TaughtCrops
Options = Callable[[], Mapping[str, Any]]

_AHEAD = 8  # the part of the bound that may be read ahead, for each of both sets of pairs


@dataclass(frozen=True)
class TrainingSources:
    """What a process trains on, and validates on where it leads.

    Attributes:
        recipe: Decides the batches.
        pairs: Pairs to train on.
        crops: Cuts batches out of them.
        apart: Pairs to validate on, none where this process doesn't lead.
        validator: Validates on them; None where there are none.
    """

    recipe: Recipe
    pairs: GoodPairs
    crops: Crops
    apart: GoodPairs
    validator: Validator | None

    def batch(self, step: int, steps: int) -> Batch:
        """Cut the batch of a step, while the pairs of the next ones are read.

        Args:
            step: Which step, from 0.
            steps: Steps of the whole training.

        Raises:
            PairError: A pair can't be read, which is no fault of its bytes.
            TooManyFailuresError: Too many pairs are corrupt.
            UnreachableError: The store gives no answer.
        """
        size, seed = self.recipe.batch, self.recipe.seed
        end = min(steps, step + 1 + -(-self.pairs.most_ahead // size))
        coming = (self.crops.unread(size, seed, each) for each in range(step, end))
        self.pairs.expect(number for numbers in coming for number in numbers)
        return self.crops.random_batch(size, seed, step)

    def newly_left_out(self) -> list[LeftOut]:
        """Return the corrupt pairs that were found since the last call."""
        return self.pairs.newly_left_out() + self.apart.newly_left_out()


@contextmanager
def open_sources(job: TrainingJob, rank: WorkerRank, options: Options) -> Iterator[TrainingSources]:
    """Open a training's pairs, of which none is read yet but one to validate on.

    Args:
        job: The training.
        rank: What this process is in it.
        options: Returns the storage options to use now.

    Raises:
        WeightsError: The teacher can't be used.
        TooManyFailuresError: No pair to validate on can be used.
        StorageError: The source or the teacher can't be reached.
    """
    with ExitStack() as held:
        pairs = held.enter_context(closing(_pairs(job, job.pairs, options)))
        left = job.validation if rank.leads else ()
        apart = held.enter_context(closing(_pairs(job, left, options)))
        cutter = _cutter(job, rank, held)
        crops = cutter(pairs)
        validator = Validator(apart, cutter(apart)) if left else None
        if left:
            _ = apart[0]  # that none of them can be used is better known now than after hours
        yield TrainingSources(job.settings.recipe(), pairs, crops, apart, validator)


def _pairs(job: TrainingJob, refs: Sequence[PairRef], options: Options) -> GoodPairs:
    settings = job.settings
    source = open_source(settings, options)
    return GoodPairs(
        refs,
        lambda ref: read_luminances(ref, source, settings, settings.max_megapixels),
        threads=settings.io_threads,
        most_bytes=(settings.memory_mb << 20) // _AHEAD,
        max_failed=settings.max_failed,
    )


def _cutter(job: TrainingJob, rank: WorkerRank, held: ExitStack) -> Callable[[GoodPairs], Crops]:
    """Return what makes a source of crops of pairs, with a teacher's images where there is one."""
    settings, recipe = job.settings, job.settings.recipe()
    if settings.teacher is None:
        most = (settings.memory_mb << 20) // _AHEAD * (_AHEAD - 2)
        return lambda pairs: CropSource(pairs, recipe.crop, recipe.loss, most, black=recipe.black)
    teacher = load_fuser(settings.teacher, rank.device)
    return lambda pairs: TaughtCrops(
        pairs,
        recipe.crop,
        teacher,
        versions=settings.versions or VERSIONS,
        seed=recipe.seed,
        folder=held.enter_context(scratch_folder()),
    )
