from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fusion_core.settings.expectations import Bounds, ExpectationSettings, bounds_text, parse_bounds
from fusion_core.settings.fuse import FuseArchiveSettings

ENDS = st.none() | st.floats(-1e6, 1e6).map(lambda value: float(f"{value:g}"))


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("0.4..", (0.4, None)),
        ("..0.9", (None, 0.9)),
        ("0.4..0.9", (0.4, 0.9)),
        (" 0.4 .. 0.9 ", (0.4, 0.9)),
        ("-1..-.5", (-1, -0.5)),
        ("1e-3...5", (0.001, 0.5)),
        ([0.4, None], (0.4, None)),
        ((None, "0.9"), (None, 0.9)),
    ],
)
def test_bounds_are_read_as_people_and_json_write_them(text: Any, bounds: Any) -> None:
    settings = ExpectationSettings(expect={"qabf": text})
    assert settings.expect == {"qabf": bounds}
    assert ExpectationSettings.model_validate_json(settings.model_dump_json()) == settings


@given(ENDS, ENDS)
def test_what_bounds_are_told_as_is_read_as_the_same(low: float | None, high: float | None) -> None:
    assert parse_bounds(bounds_text((low, high))) == (low, high)


@pytest.mark.parametrize("text", ["0.4", "", "a..b", "0.4..0.5..0.6", "0.4..x", "0.4,0.9"])
def test_another_text_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValidationError, match=r"found the bounds .*; expected LOW..HIGH, LOW"):
        ExpectationSettings(expect={"qabf": text})


@pytest.mark.parametrize("bounds", ["..", [None, None], "0.9..0.4", "nan..", "..inf"])
def test_bounds_that_nothing_or_all_is_within_are_refused(bounds: Any) -> None:
    with pytest.raises(ValidationError, match=r"found the bounds .* of qabf; expected a least"):
        ExpectationSettings(expect={"qabf": bounds})


def test_other_metrics_and_nights_that_nothing_compares_are_refused() -> None:
    with pytest.raises(ValidationError, match="found the metric 'psnr'; expected one of vif, ag"):
        ExpectationSettings(expect={"psnr": "0.."})
    with pytest.raises(ValidationError, match="drift_nights is 3 and max_drift isn't set"):
        ExpectationSettings(drift_nights=3)
    assert ExpectationSettings(drift_nights=3, max_drift=0.1).drift_nights == 3
    for wrong in ({"min_pairs": 0}, {"max_unpaired": 1.5}, {"max_drift": 0}, {"unmet": "ask"}):
        with pytest.raises(ValidationError):
            ExpectationSettings.model_validate(wrong)


def test_prefect_is_told_that_bounds_may_be_a_text() -> None:
    (pair, text) = TypeAdapter(Bounds).json_schema()["anyOf"]
    assert (pair["type"], text["type"]) == ("array", "string")


def test_no_expectation_changes_a_settings_hash() -> None:
    plain = FuseArchiveSettings(source="a", output="b")
    asked = FuseArchiveSettings(
        source="a", output="b", min_pairs=1, expect={"qabf": "0.4.."}, max_drift=0.1, pairs=("p",)
    )
    hashes = [one.image_settings().settings_hash() for one in (plain, asked)]
    assert hashes[0] == hashes[1]
