from typing import Any

import pytest

from fusion_core.jobs.remarks import join_remarks, unused_percentiles, unused_settings
from fusion_core.settings.fuse import ImageSettings
from fusion_core.settings.scaling import ScalingSettings


@pytest.mark.parametrize(
    ("changes", "photographs", "scene"),
    [
        ({}, None, None),
        ({"precision": "fp32", "scaling": "type", "nodata": 0}, None, None),
        ({"resampling": "cubic"}, "resampling of scenes", None),
        ({"resampling": "cubic", "tile_size": 128}, "resampling and tile_size of scenes", None),
        (
            {"resampling": "cubic", "tile_size": 128, "compression": "none"},
            "resampling, compression and tile_size of scenes",
            None,
        ),
        ({"compression": "none", "format": "tiff"}, None, "format of photographs"),
        ({"quality": 80, "format": "webp"}, None, "format and quality of photographs"),
        ({"png_level": 9}, None, "png_level of photographs"),
    ],
)
def test_settings_of_the_other_kind_of_pair_are_named(
    changes: dict[str, Any], photographs: str | None, scene: str | None
) -> None:
    settings = ImageSettings(**changes)
    of_photographs = unused_settings(settings, "photographs", tiled=False)
    of_scene = unused_settings(settings, "a scene")
    for found, kind, names in (
        (of_photographs, "photographs", photographs),
        (of_scene, "a scene", scene),
    ):
        assert found == (names and f"the pair is {kind}, and {names} had no part in it")


def test_a_photograph_in_tiles_takes_the_size_of_tiles() -> None:
    assert unused_settings(ImageSettings(tile_size=128), "photographs") is None


def test_percentiles_are_named_where_no_image_was_scaled_by_them() -> None:
    settings = ScalingSettings(percentiles=(1, 99))
    told = "the images were scaled by {}, and the percentiles had no part in it"
    assert unused_percentiles(settings, ("type", "percentiles")) is None
    assert unused_percentiles(settings, ("type", "type")) == told.format("their type's range")
    both = "a fixed range and their type's range"
    assert unused_percentiles(settings, ("type", "range")) == told.format(both)
    assert unused_percentiles(ScalingSettings(), ("type", "type")) is None


def test_remarks_are_joined_where_there_are_any() -> None:
    assert join_remarks(None, "a", None, "b") == "a; b"
    assert join_remarks(None, None) is None
