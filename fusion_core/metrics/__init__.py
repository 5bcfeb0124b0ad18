"""The seven published fusion metrics."""

from fusion_core.metrics.conventions import (
    METRIC_NAMES,
    METRIC_VERSION,
    METRIC_VERSIONS,
    Convention,
)
from fusion_core.metrics.functions import (
    average_gradient,
    edge_preservation,
    entropy,
    spatial_frequency,
    structural_similarity,
    sum_of_correlations_of_differences,
    visual_information_fidelity,
)
from fusion_core.metrics.greyscale import to_grey255
from fusion_core.metrics.scores import score, score_batch
from fusion_core.metrics.streaming import StreamedScores

__all__ = [
    "METRIC_NAMES",
    "METRIC_VERSION",
    "METRIC_VERSIONS",
    "Convention",
    "StreamedScores",
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
