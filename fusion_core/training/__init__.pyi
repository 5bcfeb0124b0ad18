from .ablation import AblateSettings as AblateSettings
from .determinism import compute_alike as compute_alike
from .job import Reporter as Reporter
from .job import TrainingJob as TrainingJob
from .job import WorkerRank as WorkerRank
from .log import (
    CURVE_FILE as CURVE_FILE,
)
from .log import (
    LOG_FILE as LOG_FILE,
)
from .log import (
    WEIGHTS_FILE as WEIGHTS_FILE,
)
from .log import (
    LogFile as LogFile,
)
from .plan import finished_log as finished_log
from .plan import plan_training as plan_training
from .record import LeftOut as LeftOut
from .record import ProgressEvent as ProgressEvent
from .record import TrainingRecord as TrainingRecord
from .run import run_training as run_training
from .settings import TrainSettings as TrainSettings
