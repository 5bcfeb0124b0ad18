"""The model cards and the drawing say what the record of the weights says."""

import json
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
import tradeoff
import weights_figures
from hand_made import around_hot
from weight_sets import Pair
from weights_figures import CARDS, PARTS, RECORD, marked, tables

from fusion_core.models.fuser import read_model
from fusion_core.models.names import PACKAGED_NAMES


@pytest.fixture
def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORD.read_text())
    return found


@pytest.mark.parametrize("name", PARTS)
def test_the_tables_of_a_card_are_those_of_the_record(name: str, record: dict[str, Any]) -> None:
    card = (CARDS / name).read_text()
    again = "write it anew by python tests/benchmarks/weights_figures.py"
    for part, table in tables(record, name).items():
        assert marked(card, part) == table, again


def test_the_drawing_is_of_the_record(record: dict[str, Any]) -> None:
    drawn = weights_figures.DRAWING.read_text()
    assert drawn == tradeoff.drawing(record)
    shapes = ET.fromstring(drawn)
    dots = [one for one in shapes if one.tag.endswith("circle")]
    assert len(dots) == len(record["results"]["means"])
    for dot in dots:
        assert tradeoff.MARGIN < float(dot.attrib["cx"]) < tradeoff.WIDTH - tradeoff.MARGIN
        assert tradeoff.MARGIN < float(dot.attrib["cy"]) < tradeoff.HEIGHT - tradeoff.MARGIN


def test_the_record_is_of_the_weights_that_are_packaged(record: dict[str, Any]) -> None:
    assert record["results"]["sha256"] == {
        name: read_model(name).model_hash for name in PACKAGED_NAMES
    }


def test_the_brighter_source_is_let_in_around_what_is_hot_by_its_share() -> None:
    ir = np.full((120, 160), 60, np.uint8)
    ir[50:70, 70:90] = 250
    vi = np.full((120, 160), 20, np.uint8)
    brighter, half, none = (around_hot(Pair("", ir, vi), share) for share in (1.0, 0.5, 0.0))
    assert np.array_equal(brighter, np.maximum(ir, vi))
    assert none[60, 80] == half[60, 80] == 250
    beside = none[60, 67], half[60, 67], brighter[60, 67]
    assert beside[0] < 30 < beside[1] < 50 < beside[2] == 60
    assert none[5, 5] == 60
