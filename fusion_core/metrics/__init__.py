"""The seven published fusion metrics."""

from fusion_core.metrics.edges import edge_preservation
from fusion_core.metrics.gradients import average_gradient, spatial_frequency
from fusion_core.metrics.scores import (
    METRIC_NAMES,
    METRIC_VERSION,
    METRIC_VERSIONS,
    Convention,
    score,
    score_batch,
    to_grey255,
)
from fusion_core.metrics.ssim import structural_similarity
from fusion_core.metrics.statistics import entropy, sum_of_correlations_of_differences
from fusion_core.metrics.vif import visual_information_fidelity

__all__ = [
    "METRIC_NAMES",
    "METRIC_VERSION",
    "METRIC_VERSIONS",
    "Convention",
    "average_gradient",
    "edge_preservation",
    "entropy",
    "score",
    "score_batch",
    "spatial_frequency",
    "structural_similarity",
    "sum_of_correlations_of_differences",
    "to_grey255",
    "visual_information_fidelity",
]
