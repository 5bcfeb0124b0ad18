import logging
import uuid
from typing import Any

import pytest
from training_records import record, scores

from flows import train_progress
from flows.summaries.train import TrainSummary, record_table
from flows.train_progress import _line, _remaining, shown
from fusion_core.training import LeftOut, ProgressEvent, TrainingRecord


def validated(step: int) -> TrainingRecord:
    terms = {"intensity": 0.125, "texture": 1 / step}
    return record(step, loss=0.125 + 1 / step, terms=terms, validation=scores(vif=None))


def steps(table: list[str]) -> list[int]:
    return [int(line.split("|")[1]) for line in table[2:]]


def test_the_table_shows_the_validated_records_if_there_are_any() -> None:
    plain = tuple(record(step) for step in range(1, 5))
    assert steps(record_table(plain)) == [1, 2, 3, 4]
    assert "VIF" not in record_table(plain)[0]
    mixed = (*plain, validated(5), record(6), validated(7))
    table = record_table(mixed)
    assert steps(table) == [5, 7]
    assert table[0].startswith("| step | loss | validation loss | VIF | AG |")
    assert table[-1].startswith("| 7 | 0.2679 | 0.2500 |  | 0.5000 |")


def test_a_long_table_is_thinned_out_and_ends_with_the_last_record() -> None:
    found = steps(record_table(tuple(record(step) for step in range(1, 101))))
    assert len(found) == len(set(found)) == 12
    assert found == sorted(found)
    assert found[-1] == 100


def summary(**changes: Any) -> TrainSummary:
    urls = {"output": "o", "weights": "o/w", "log": "o/l", "curve": "o/c"}
    counts = {"pairs": 9, "steps": 4, "seconds": 2.0, "records": (record(4, loss=0.375),)}
    return TrainSummary(**{**urls, **counts, "done_before": False, **changes})


def test_the_summary_says_what_was_done() -> None:
    done = summary()
    assert done.sentence() == "4 steps on 9 pairs in 2 s, with a loss of 0.3750 at the end."
    before = summary(done_before=True)
    assert "was finished before, with a loss of 0.3750 after 4 steps" in before.sentence()
    assert "- weights: `o/w`" in before.markdown()


def test_the_summary_names_what_was_left_out() -> None:
    assert "left out" not in summary().markdown()
    pairs = tuple(LeftOut(pair_id=f"p{k}", reason=f"{k}.png\nis cut off") for k in range(103))
    one = summary(left_out=pairs[:1])
    assert one.sentence().endswith(
        "at the end. 1 pair was left out, since their files can't be used."
    )
    many = summary(left_out=pairs).markdown()
    assert "103 pairs were left out" in many
    assert "\n- p99: 99.png" in many
    assert "is cut off\n- … and 3 more, in log.json\n" in many
    assert many.count("\n- p") == 100


def test_a_pair_that_is_left_out_is_told_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(train_progress, "create_progress_artifact", lambda *_: uuid.uuid4())
    monkeypatch.setattr(train_progress, "update_progress_artifact", lambda *_: None)
    found = (LeftOut(pair_id="a/b", reason="vi/a.png is cut off"),)
    shown([ProgressEvent(1, 8, left_out=found)], logging.getLogger("train-test"))
    assert "Pair a/b is left out: vi/a.png is cut off" in caplog.text


def test_a_line_of_progress_has_losses_metrics_and_speed() -> None:
    line = _line(validated(4), 8)
    assert line.startswith("step 4 of 8: loss 0.3750 (intensity 0.1250, texture 0.2500)")
    assert "validation loss 0.2500, ag 0.500" in line
    assert "vif" not in line
    assert line.endswith("2.50 steps/s")


def test_the_remaining_time_is_told_once_it_is_known() -> None:
    assert _remaining(10, 0, 5.0) == "remaining time not known yet"
    assert _remaining(100, 10, 60.0) == "about 10 min left"
    assert _remaining(6000, 10, 60.0) == "about 10.0 h left"
    assert _remaining(0, 10, 60.0) == "done"
