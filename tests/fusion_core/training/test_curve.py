import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor
from training_records import record, scores

from fusion_core.training.curve import _COLOURS, _ticks, draw_curve
from fusion_core.training.record import TrainingRecord


def pixels(records: list[TrainingRecord]) -> Any:
    return np.asarray(Image.open(io.BytesIO(draw_curve(records, "title"))).convert("RGB"))


def heights(drawn: Any, colour: str) -> dict[int, int]:
    """The lowest pixel of a colour in each column right of the axis and left of the names."""
    rows, columns = np.nonzero((drawn == ImageColor.getrgb(colour)).all(-1))
    inside = columns < 745
    return dict(zip(columns[inside].tolist(), rows[inside].tolist(), strict=True))


def test_a_falling_loss_falls_over_its_steps() -> None:
    drawn = pixels(
        [
            record(step, loss=1 - step / 200, terms={"texture": 0.5 - step / 400})
            for step in range(10, 110, 10)
        ]
    )
    loss = heights(drawn, _COLOURS[0])
    assert min(loss) == pytest.approx(76 + 674 * 0.1, abs=3)
    assert loss[max(loss)] > loss[min(loss)] + 30
    term = heights(drawn, _COLOURS[1])
    assert all(term[column] > loss[column] for column in term if column in loss)


def test_validations_add_a_curve_and_a_panel() -> None:
    found = scores(loss=0.3, vif=None, scd=1.5)
    plain = pixels([record(1, loss=1.0), record(2)])
    validated = pixels([record(1, loss=1.0, validation=found), record(2, validation=found)])
    assert validated.shape[0] - plain.shape[0] == 300
    assert heights(validated[: plain.shape[0]], _COLOURS[2])
    assert not heights(plain, _COLOURS[2])


def test_one_record_and_equal_values_can_be_drawn() -> None:
    assert pixels([record(1, loss=0.0)]).std() > 0
    assert pixels([record(5), record(10)]).std() > 0


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0.2, 0.65, [0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        (0, 6000, [0, 2000, 4000, 6000]),
        (-0.5, 0.5, [-0.6, -0.4, -0.2, 0, 0.2, 0.4, 0.6]),
        (3, 3, [3, 4]),
    ],
)
def test_ticks_are_round_and_span_the_values(
    low: float, high: float, expected: list[float]
) -> None:
    assert _ticks(low, high) == pytest.approx(expected)
