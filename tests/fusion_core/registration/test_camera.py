import math

import numpy as np
import pytest
from off_pairs import Off, distance

from fusion_core.registration.camera import agreed
from fusion_core.registration.warp import Matrix

SIZE = (240, 320)
TRUE = Off(9, -5, math.radians(2), 1.01)


def estimates(seed: int, good: int, wrong: int) -> list[Matrix]:
    """Return some transforms near the true one, and some from anywhere, in mixed order."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(good + wrong):
        by = rng.normal(0, 0.3, 2) if number < good else rng.uniform(15, 40, 2)
        found.append(Off(TRUE.x + by[0], TRUE.y + by[1], TRUE.turn, TRUE.scale).matrix(*SIZE))
    return [found[place] for place in rng.permutation(len(found))]


@pytest.mark.parametrize("seed", range(4))
def test_what_most_pairs_say_counts_and_what_others_say_does_not(seed: int) -> None:
    found = agreed(estimates(seed, good=9, wrong=3), SIZE, limit=3.0)
    assert found is not None
    assert distance(found.matrix, TRUE, SIZE) < 0.4
    assert (found.pairs, found.score, found.size) == (9, 0.75, SIZE)
    assert found.moves


@pytest.mark.parametrize(("good", "wrong"), [(0, 0), (2, 0), (0, 8), (3, 3), (2, 1)])
def test_too_few_that_agree_make_no_transform(good: int, wrong: int) -> None:
    assert agreed(estimates(1, good, wrong), SIZE, limit=3.0) is None


def test_pairs_that_are_aligned_make_a_transform_that_moves_nothing() -> None:
    found = agreed([np.eye(3)] * 4, SIZE, limit=3.0)
    assert found is not None
    assert not found.moves
    assert found.score == 1
