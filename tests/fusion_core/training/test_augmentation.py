import numpy as np
import pytest

from fusion_core.training.augmentation import blackened


def test_a_part_of_so_many_crops_is_black() -> None:
    black = blackened(np.random.default_rng(1), 400, 32, 0.5)
    assert black.shape == (400, 32, 32)
    assert black.dtype == bool
    shares = black.mean((1, 2))
    assert shares.max() <= 0.85
    touched = (shares > 0).mean()
    assert 0.3 < touched < 0.55, "half of them, less those that would be nearly all black"
    whole_sides = black[:, [0, -1]].all(2).any(1).mean()
    assert whole_sides > 0.05, "some have a collar"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_none_or_nearly_all(share: float) -> None:
    black = blackened(np.random.default_rng(2), 50, 32, share)
    assert bool(black.any()) == bool(share)


def test_equal_chance_gives_equal_parts() -> None:
    one, two = (blackened(np.random.default_rng(3), 20, 16, 0.7) for _ in range(2))
    assert np.array_equal(one, two)
