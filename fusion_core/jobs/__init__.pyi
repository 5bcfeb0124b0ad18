from .committed import ChunkResult as ChunkResult
from .committed import Undone as Undone
from .committed import tried as tried
from .evaluate_settings import EvaluateSettings as EvaluateSettings
from .fusion_worker import FusionWorker as FusionWorker
from .listing import find_pairs as find_pairs
from .listing import list_fused as list_fused
from .listing import list_pairs as list_pairs
from .listing import pair_batches as pair_batches
from .score_settings import ScoreArchiveSettings as ScoreArchiveSettings
from .scoring_worker import ScoringWorker as ScoringWorker
from .verdict import Cause as Cause
from .worker import (
    ChunkWorker as ChunkWorker,
)
from .worker import (
    RunIdentity as RunIdentity,
)
