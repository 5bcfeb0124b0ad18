from typing import Any

import pytest
from pydantic import ValidationError

from fusion_core.settings.fuse import FuseArchiveSettings, ImageSettings

BEFORE = "2b5a83381f69fafa"
"""Hash of the default settings before there was any setting of registration."""


def hash_of(**changed: Any) -> str:
    return ImageSettings(**changed).settings_hash()


def test_pairs_are_checked_and_not_moved_unless_it_is_asked_for() -> None:
    found = ImageSettings()
    assert (found.registration, found.misaligned) == ("check", "remark")
    assert (found.registration_limit, found.registration_by, found.aligns) == (None, None, False)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"registration": "off"},
        {"registration": "check", "registration_limit": 3.0},
        {"misaligned": "fail"},
    ],
)
def test_what_moves_no_pixel_leaves_the_hash_as_it_was(changed: dict[str, Any]) -> None:
    assert hash_of(**changed) == BEFORE
    assert ImageSettings(**changed).hashes_before() == ("92292d2e1821d273",)


def test_what_moves_pixels_is_hashed() -> None:
    made = [
        {"registration": "translation"},
        {"registration": "affine"},
        {"registration": "homography"},
        {"registration": "affine", "registration_limit": 3.0},
        {"registration": "affine", "registration_by": "{camera}"},
    ]
    hashes = {hash_of(**changed) for changed in made}
    assert len(hashes) == len(made)
    assert BEFORE not in hashes
    assert hash_of(registration="affine", misaligned="fail") in hashes


def test_an_aligned_image_is_none_that_an_earlier_image_version_made() -> None:
    assert ImageSettings(registration="affine").hashes_before() == ()


def test_a_transform_for_all_pairs_of_a_camera_needs_a_kind_of_transform() -> None:
    with pytest.raises(ValidationError, match="expected translation, affine or homography"):
        ImageSettings(registration_by="{camera}")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_is_a_number_of_pixels(limit: float) -> None:
    with pytest.raises(ValidationError, match="greater than 0"):
        ImageSettings(registration_limit=limit)


def by_camera(by: str, **changed: Any) -> FuseArchiveSettings:
    places = {"source": "in", "output": "out", "registration": "affine"}
    return FuseArchiveSettings(**{**places, "registration_by": by, **changed})


def test_a_camera_is_called_by_fields_of_the_infrared_template() -> None:
    templates = {"ir": "{site}/{camera:path}/ir-{pair}.png", "vi": "vi/{site}/{camera:path}/{pair}"}
    for by in ("{camera}", "{site}-{camera}", "{site}"):
        assert by_camera(by, **templates).registration_by == by


@pytest.mark.parametrize(
    ("by", "changed", "told"),
    [
        ("{camera}", {}, r"with the fields \['camera'\]; .* has \['pair'\]"),
        ("camera", {}, "with no field; expected fields of the infrared template"),
        ("{pair}", {"index": "pairs.csv"}, "come from an index, which has no fields"),
    ],
)
def test_a_camera_without_a_name_is_refused(by: str, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        by_camera(by, **changed)
