from itertools import pairwise

from fusion_core.metrics import METRIC_NAMES
from fusion_core.metrics.bins import BIN_EDGES, BINS_VERSION


def test_every_metric_has_rising_edges() -> None:
    assert tuple(BIN_EDGES) == METRIC_NAMES
    assert all(low < high for edges in BIN_EDGES.values() for low, high in pairwise(edges))


def test_edges_stay_as_the_histograms_of_other_nights_have_them() -> None:
    assert BINS_VERSION == 1
    ends = {name: (edges[0], edges[-1], len(edges)) for name, edges in BIN_EDGES.items()}
    assert ends == {
        "vif": (0.0, 2.0, 41),
        "ag": (0.25, 64.0, 33),
        "scd": (-2.0, 2.0, 41),
        "qabf": (0.0, 1.0, 41),
        "sf": (0.5, 128.0, 33),
        "en": (0.0, 8.0, 41),
        "ssim": (-0.5, 1.5, 41),
    }
