from typing import Any

import pytest
from pydantic import ValidationError

from fusion_core.settings.scenes import SceneSettings


def test_nothing_has_to_be_set() -> None:
    found = SceneSettings()
    assert (found.scaling, found.percentiles, found.tile_size) == ("auto", (0.5, 99.5), 768)
    assert (found.nodata, found.ir_range, found.vi_range) == (None, None, None)


@pytest.mark.parametrize(
    "given",
    [
        {"percentiles": (0, 100)},
        {"scaling": "range", "ir_range": (-40, 60), "vi_range": (0, 1)},
        {"ir_range": (0, 1)},
        {"tile_size": 128},
        {"tile_size": 8192},
        {"nodata": -9999},
        {"nodata": "none"},
        {"resampling": "cubic", "compression": "zstd"},
    ],
)
def test_these_are_fine(given: dict[str, Any]) -> None:
    found = SceneSettings(**given)
    assert {name: getattr(found, name) for name in given} == given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"percentiles": (5, 5)}, "percentiles are 5 and 5; expected two of 0 to 100, the lower"),
        ({"percentiles": (99.5, 0.5)}, "the lower first"),
        ({"percentiles": (-1, 99)}, "percentiles are -1 and 99"),
        ({"percentiles": (1, 100.5)}, "percentiles are 1 and 100.5"),
        ({"percentiles": (float("nan"), 99)}, "percentiles are nan and 99"),
        ({"scaling": "range"}, "scaling is range and ir_range isn't set; expected both ranges"),
        ({"scaling": "range", "ir_range": (0, 1)}, "vi_range isn't set"),
        ({"scaling": "range", "vi_range": (0, 1)}, "ir_range isn't set"),
        ({"ir_range": (3, 3)}, r"ir_range is \(3.0, 3.0\); expected two numbers, the lower first"),
        ({"vi_range": (3, 2)}, "vi_range is"),
        ({"vi_range": (float("nan"), 2)}, "vi_range is"),
        ({"scaling": "type", "ir_range": (0, 1)}, "ir_range is set and scaling is type"),
        ({"scaling": "percentiles", "vi_range": (0, 1)}, "expected scaling auto or range"),
        ({"scaling": "type", "percentiles": (1, 99)}, "percentiles are set and scaling is type"),
        (
            {"percentiles": (1, 99), "ir_range": (0, 1), "vi_range": (0, 1)},
            "percentiles are set and both ranges are set",
        ),
        ({"tile_size": 112}, "greater than or equal to 128"),
        ({"tile_size": 200}, "multiple of 16"),
        ({"tile_size": 8208}, "less than or equal to 8192"),
        ({"scaling": "minmax"}, "scaling"),
        ({"nodata": "zero"}, "valid number"),
        ({"nodata": "zero"}, "'none'"),
        ({"resampling": "lanczos"}, "resampling"),
        ({"compression": "jpeg"}, "compression"),
        ({"tilesize": 256}, "Extra inputs"),
    ],
)
def test_these_are_refused_and_the_message_says_why(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SceneSettings(**given)


@pytest.mark.parametrize(
    ("given", "value"), [(None, None), ("none", None), (0, 0), ("-9999", -9999), ("1e3", 1000)]
)
def test_nodata_is_a_value_or_the_word_none(given: Any, value: float | None) -> None:
    found = SceneSettings(nodata=given)
    assert found.nodata_value == value
    assert (found.nodata == "none") == (given == "none")
    assert SceneSettings.model_validate_json(found.model_dump_json()) == found


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        SceneSettings().tile_size = 256  # type: ignore[misc]
