from .ablation import AblateSettings as AblateSettings
from .log import CURVE_FILE as CURVE_FILE
from .log import LOG_FILE as LOG_FILE
from .log import WEIGHTS_FILE as WEIGHTS_FILE
from .plan import finished_log as finished_log
from .plan import plan_training as plan_training
from .run import (
    Reporter as Reporter,
)
from .run import (
    TrainingJob as TrainingJob,
)
from .run import (
    WorkerRank as WorkerRank,
)
from .run import (
    run_training as run_training,
)
from .settings import TrainSettings as TrainSettings
