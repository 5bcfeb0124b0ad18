"""Scores as they are on machines without Numba, and on GPUs: by PyTorch alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fusion_core.metrics.kernels import tile_kernels


@contextmanager
def by_torch() -> Iterator[None]:
    """Have everything added up by PyTorch meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tile_kernels, "is_installed", lambda: False)
        yield
