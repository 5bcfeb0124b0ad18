"""What a run was asked for, as it is kept, and how two such differ in words."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.requests import differences, note_settings, request_of, settings_of, settings_told
from flows.run import Run
from fusion_core.jobs import ScoreArchiveSettings
from fusion_core.settings.fuse import FuseArchiveSettings


def run_of(output: Path | str = "out", **changes: Any) -> Run[FuseArchiveSettings]:
    settings = FuseArchiveSettings.model_validate({"source": "s", "output": str(output), **changes})
    images = settings.image_settings()
    return Run.begin(settings, settings_hash=images.settings_hash(), model_hash="5e" * 32)


def request(**changes: Any) -> dict[str, Any]:
    asked = request_of(run_of(**changes), "fuse-archive")
    told: dict[str, Any] = json.loads(json.dumps(asked))
    return told


def test_a_request_holds_all_settings_and_what_made_the_images() -> None:
    used = [{"engine": "openvino", "precision": "fp32", "device": "cpu"}]
    run = run_of(model="mean", ir_range=(7200, 9000))
    told = request_of(run, "fuse-archive", used=used)
    assert set(told["settings"]) == set(FuseArchiveSettings.model_fields) - {"pairs"}
    assert (told["settings_hash"], told["used"]) == (run.identity.settings_hash, used)
    assert told["model"] == {"name": "mean", "sha256": "5e" * 32}
    assert {"python", "torch", "ray", "prefect", "fuse-archive"} <= set(told["versions"])
    assert "ir_range" in told["hashed"]
    assert "max_failed" not in told["hashed"]


def test_a_request_holds_no_secret_and_names_no_pair() -> None:
    asked = request(
        index="https://bucket/pairs.csv?X-Amz-Signature=5ec4e7",
        credentials_block="nightly",
        pairs=("p1", "p2"),
    )
    text = json.dumps(asked, ensure_ascii=False)
    assert "5ec4e7" not in text
    assert '"https://bucket/pairs.csv?…"' in text
    assert asked["settings"]["credentials_block"] == "nightly"
    assert "p1" not in text
    assert asked["pairs_asked"] == 2


def test_a_score_is_asked_by_fewer_fields() -> None:
    settings = ScoreArchiveSettings(
        source="s", output="o", fused={"a": "f/{pair}.png"}, convention="textbook"
    )
    told = request_of(Run.begin(settings, settings_hash="5e"), "score-archive")
    assert "png_level" not in told["hashed"]
    assert told["metric_version"] == settings.metric_version
    assert "model" not in told


def test_the_first_run_of_a_hash_notes_its_settings_and_later_ones_leave_them(
    tmp_path: Path,
) -> None:
    plans: list[Any] = [SimpleNamespace(todo=todo, done=done) for todo, done in (("", 0), ("", 1))]
    first = run_of(tmp_path, ir_range=(7200, 9000))
    output, settings_hash = first.output(), first.identity.settings_hash
    note_settings(first, plans[0], "fuse-archive")
    assert settings_of(output, settings_hash) is None  # neither images nor any to come
    note_settings(first, plans[1], "fuse-archive")
    noted = settings_of(output, settings_hash)
    assert noted == request_of(first, "fuse-archive") | {"settings": noted["settings"]}
    assert settings_told(noted) == ["ir_range: 7200..9000"]
    later = run_of(tmp_path, ir_range=(7200, 9000), max_failed=0.5)
    assert later.identity.settings_hash == settings_hash
    note_settings(later, plans[1], "fuse-archive")
    assert settings_of(output, settings_hash) == noted
    output.write(f"fused/{settings_hash}/settings.json", b"[]")
    assert settings_of(output, settings_hash) is None


def test_a_difference_is_told_in_words_and_what_decides_pixels_comes_first() -> None:
    before, after = (
        request(),
        request(limit=10, scaling="range", ir_range=(0, 9.5), vi_range=(0, 1)),
    )
    after["settings"]["model"] = "x"  # told as the model's name
    told = differences(before, after)
    assert sorted(told[:3]) == [
        "ir_range: none → 0..9.5",
        "scaling: auto → range",
        "vi_range: none → 0..1",
    ]
    assert told[3:] == ["limit: none → 10"]
    assert differences(before, after, deciding=True) == told[:3]
    assert differences(before, before) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"requester_pays": True, "source": "s3://a"}, "requester_pays: no → yes"),
        ({"expect": {"qabf": "0.4.."}}, "expect: none → qabf 0.4.."),
        ({"nodata": 0.0}, "nodata: none → 0"),
        ({"max_failed": 0.5}, "max_failed: 0.1 → 0.5"),
    ],
)
def test_every_kind_of_value_is_told(changes: dict[str, Any], told: str) -> None:
    before = request(source=changes.get("source", "s"))
    assert differences(before, request(**changes)) == [told]


def test_another_model_version_or_engine_is_a_difference() -> None:
    before, after = request(), request(model="mean")
    after["model"]["sha256"] = "ab" * 32
    after |= {"image_version": 1, "used": [{"engine": "eager", "device": "cpu"}]}
    after["versions"]["torch"] = "9"
    told = differences(before, after)
    assert told[0] == f"model: refinefuse ({'5e' * 6}) → mean ({'ab' * 6})"
    assert told[1].startswith("image version: ")
    assert told[2] == "computed by: none → eager cpu"
    assert told[3].endswith("→ 9")
    assert len(told) == 4
    assert len(differences(before, after, deciding=True)) == 2


def test_a_version_without_a_setting_did_what_is_the_default() -> None:
    before, after = request(), request(max_drift=0.1)
    del before["settings"]["max_drift"], before["settings"]["min_pairs"]
    assert differences(before, after) == ["max_drift: none → 0.1"]


def test_what_was_not_noted_is_unknown() -> None:
    assert differences(None, request()) == ["what was asked for before: unknown"]
    assert differences(None, None) == []
