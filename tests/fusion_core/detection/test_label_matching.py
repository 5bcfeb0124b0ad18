import pyarrow as pa
import pytest

from fusion_core.archive.pairing import PAIRS_SCHEMA
from fusion_core.detection.label_matching import match_labels
from fusion_core.detection.labels import LabelledImage
from fusion_core.errors import SettingsError


def pairs(*rows: tuple[str, str, str]) -> pa.Table:
    """Rows of pairs, each by its id and the paths of its files."""
    values = [
        {
            **{"pair_id": pair_id, "ir_path": ir, "vi_path": vi},
            **dict.fromkeys(("ir_bytes", "vi_bytes"), 1),
            **dict.fromkeys(("ir_version", "vi_version"), "v"),
        }
        for pair_id, ir, vi in rows
    ]
    return pa.Table.from_pylist(values, schema=PAIRS_SCHEMA)


def images(*names: str) -> list[LabelledImage]:
    return [LabelledImage(name, "labels.json", (), (4, 4)) for name in names]


ROAD = pairs(("FLIR_1", "ir/FLIR_1.jpg", "vi/FLIR_1.jpg"), ("b.x", "ir/b.x.png", "vi/b.x.png"))
DAYS = pairs(("mon/1", "mon/ir/1.png", "mon/vi/1.png"), ("tue/1", "tue/ir/1.png", "tue/vi/1.png"))


@pytest.mark.parametrize(
    ("name", "pair_id"),
    [
        ("FLIR_1.jpg", "FLIR_1"),
        ("FLIR_1.png", "FLIR_1"),
        ("FLIR_1", "FLIR_1"),
        ("train/images/FLIR_1.jpeg", "FLIR_1"),
        ("ir\\FLIR_1.jpg", "FLIR_1"),
        ("b.x.jpg", "b.x"),
    ],
)
def test_a_name_is_known_whatever_its_suffix_and_folders(name: str, pair_id: str) -> None:
    found = match_labels(images(name), ROAD)
    assert [*found.of_pair] == [pair_id]
    assert found.without_pair == ()


def test_names_of_either_side_are_known() -> None:
    apart = pairs(("a", "a_ir.png", "a_vi.png"))
    for name in ("a_ir.jpg", "a_vi.jpg", "a.jpg"):
        assert [*match_labels(images(name), apart).of_pair] == ["a"]


def test_folders_tell_pairs_of_one_name_apart() -> None:
    for name in ("mon/1.jpg", "mon/vi/1.png", "x/mon/1.png"):
        assert [*match_labels(images(name), DAYS).of_pair] == ["mon/1"]
    with pytest.raises(SettingsError, match="may be any of the pairs 'mon/1', 'tue/1'"):
        match_labels(images("1.png"), DAYS)


def test_images_of_no_pair_are_listed_unless_all_are() -> None:
    found = match_labels(images("FLIR_1.jpg", "FLIR_9.jpg"), ROAD)
    assert found.without_pair == ("FLIR_9.jpg",)
    with pytest.raises(
        SettingsError, match=r"of 1 images \(FLIR_9\.jpg …\), and none is of one of"
    ):
        match_labels(images("FLIR_9.jpg"), ROAD)


def test_two_images_of_one_pair_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"ir/FLIR_1\.jpg and vi/FLIR_1\.jpg of labels"):
        match_labels(images("ir/FLIR_1.jpg", "vi/FLIR_1.jpg"), ROAD)


def test_a_pair_that_is_known_is_not_looked_for() -> None:
    known = [LabelledImage("labels/1.txt", "labels/1.txt", (), pair_id="tue/1")]
    assert [*match_labels(known, DAYS).of_pair] == ["tue/1"]
    other = [LabelledImage("mon/1.txt", "mon/1.txt", (), pair_id="wed/1")]
    assert match_labels([*known, *other], DAYS).without_pair == ("mon/1.txt",)
