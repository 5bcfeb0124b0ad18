from .columns import score_columns as score_columns
from .conventions import (
    METRIC_NAMES as METRIC_NAMES,
)
from .conventions import (
    METRIC_VERSION as METRIC_VERSION,
)
from .conventions import (
    METRIC_VERSIONS as METRIC_VERSIONS,
)
from .conventions import (
    Convention as Convention,
)
from .functions import (
    average_gradient as average_gradient,
)
from .functions import (
    edge_preservation as edge_preservation,
)
from .functions import (
    entropy as entropy,
)
from .functions import (
    spatial_frequency as spatial_frequency,
)
from .functions import (
    structural_similarity as structural_similarity,
)
from .functions import (
    sum_of_correlations_of_differences as sum_of_correlations_of_differences,
)
from .functions import (
    visual_information_fidelity as visual_information_fidelity,
)
from .greyscale import to_grey255 as to_grey255
from .scores import score as score
from .scores import score_batch as score_batch
from .streaming import StreamedScores as StreamedScores
