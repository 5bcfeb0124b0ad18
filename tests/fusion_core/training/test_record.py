import pickle

from training_records import record, scores

from fusion_core.metrics import METRIC_NAMES
from fusion_core.training.record import ProgressEvent, TrainingRecord, ValidationScores

STORED = {
    "step": 20,
    "loss": 1.25,
    "terms": {"intensity": 0.5, "texture": 0.75},
    "learning_rate": 0.0009,
    "steps_per_second": 33.513,
    "seconds": 0.298,
    "validation": {
        "loss": 1.5,
        "terms": {"intensity": 0.5, "texture": 1.0},
        **{"vif": None, "ag": 5.5, "scd": 1.5, "qabf": 0.5, "sf": 14.0, "en": 7.0, "ssim": 1.0},
    },
}


def test_a_record_has_the_same_names_in_memory_as_in_logs_checkpoints_and_weights() -> None:
    read = TrainingRecord.model_validate(STORED)
    assert read.model_dump() == STORED
    assert [*read.model_dump()] == [*STORED]
    assert TrainingRecord.model_validate_json(read.model_dump_json()) == read
    assert TrainingRecord.model_validate(STORED | {"validation": None}).validation is None


def test_every_metric_is_a_score_of_a_validation() -> None:
    assert tuple(ValidationScores.model_fields) == ("loss", "terms", *METRIC_NAMES)
    metrics = scores(vif=None).metrics
    assert tuple(metrics) == METRIC_NAMES
    assert metrics == {**dict.fromkeys(METRIC_NAMES, 0.5), "vif": None}


def test_an_event_crosses_to_another_process() -> None:
    event = ProgressEvent(4, 8, record(4, validation=scores()))
    assert pickle.loads(pickle.dumps(event)) == event
