import json
from pathlib import Path

import pytest

from fusion_core.detection.label_files import read_labels
from fusion_core.errors import SettingsError
from fusion_core.storage.store import Storage

NAMES = ("person", "car")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    storage = Storage(str(tmp_path))
    for name, line in (("a", b"0 0.5 0.5 0.5 0.5\n"), ("b", b"")):
        storage.write(f"labels/mon/{name}.txt", line)
    storage.write("labels/classes.txt", b"dog\ncat\n")
    return tmp_path


def test_a_template_says_the_pair_and_a_folder_leaves_it_open(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_template = read_labels(f"{folder}/labels/{{day}}/{{pair}}.txt", NAMES, ("day", "pair"))
    assert [(one.name, one.pair_id, len(one.boxes)) for one in by_template] == [
        ("mon/a.txt", "mon/a", 1),
        ("mon/b.txt", "mon/b", 0),
    ]
    assert by_template[0].where == f"{folder}/labels/mon/a.txt"
    monkeypatch.chdir(folder)
    for url in ("labels", "labels/"):
        found = read_labels(url, NAMES, ("pair",))
        assert [(one.name, one.pair_id) for one in found] == [
            ("mon/a.txt", None),
            ("mon/b.txt", None),
        ]
    monkeypatch.chdir("labels/mon")
    assert [one.pair_id for one in read_labels("{pair}.txt", NAMES, ("pair",))] == ["a", "b"]


def test_a_file_names_the_classes(folder: Path) -> None:
    found = read_labels(f"{folder}/labels", NAMES, (), label_classes=f"{folder}/labels/classes.txt")
    assert found[0].boxes[0].class_name == "dog"
    with pytest.raises(SettingsError, match=r"label_classes is .*none\.txt, and there is nothing"):
        read_labels(f"{folder}/labels", NAMES, (), label_classes=f"{folder}/none.txt")


def test_a_coco_file_is_told_by_its_name(folder: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 4, "height": 4}],
        **{"annotations": [], "categories": []},
    }
    (folder / "all.json").write_text(json.dumps(content))
    assert [one.name for one in read_labels(f"{folder}/all.json", NAMES, ())] == ["a.png"]
    with pytest.raises(SettingsError, match=r"labels is .*none\.json, and there is nothing"):
        read_labels(f"{folder}/none.json", NAMES, ())


def test_no_labels_are_an_error(folder: Path) -> None:
    for url in (f"{folder}/none", f"{folder}/labels/{{pair}}.label"):
        with pytest.raises(SettingsError, match="there are no labels at"):
            read_labels(url, NAMES, ("pair",))
