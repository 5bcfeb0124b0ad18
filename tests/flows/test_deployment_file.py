"""The file of deployments that is written for an archive, without a server."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from flows.deployment import DeploymentError, write_deployment
from fusion_core.jobs import DetectSettings, EvaluateSettings, ScoreArchiveSettings
from fusion_core.settings import FuseArchiveSettings
from fusion_core.training import TrainSettings

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE: dict[str, Any] = {
    "source": "s3://archive",
    "output": "s3://archive-fused",
    "time_zone": "Europe/Berlin",
}


def deployments(path: Path) -> dict[str, Any]:
    return {one["name"]: one for one in yaml.safe_load(path.read_text())["deployments"]}


def test_the_example_beside_the_code_is_what_is_written_for_it(tmp_path: Path) -> None:
    written = write_deployment(tmp_path / "prefect.yaml", **EXAMPLE)
    assert written.read_text() == (ROOT / "infra/prefect.yaml").read_text()


def test_all_settings_in_it_are_valid_whatever_their_letters(tmp_path: Path) -> None:
    odd = {
        "source": 's3://archive/a "b": #c',
        "output": "/data/ä $x ${y}",
        "ir": "{scene}/{scene}_B10: 'x'.TIF",
        "vi": "{scene}/{scene}_B4 # y.TIF",
    }
    path = write_deployment(
        tmp_path / "p.yaml", **odd, prefix="n: {date:%Y/%m/%d}", schedule="23:05"
    )
    found = deployments(path)
    nightly = found["nightly"]["parameters"]["settings"]
    assert nightly == odd | {"time_zone": "UTC", "prefix": "n: {date:%Y/%m/%d}"}
    assert found["nightly"]["schedules"][0]["cron"] == "5 23 * * *"
    kinds = {
        "nightly": FuseArchiveSettings,
        "score": ScoreArchiveSettings,
        "detect": DetectSettings,
        "evaluate": EvaluateSettings,
        "train": TrainSettings,
    }
    assert found.keys() == kinds.keys()
    for name, kind in kinds.items():
        # Theirs are images named by {pair}, which these templates have no field of.
        if name not in ("score", "detect"):
            kind(**found[name]["parameters"]["settings"])


def test_a_local_archive_is_named_as_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_deployment(source="demo/in", output="demo/out")
    nightly = deployments(path)["nightly"]["parameters"]["settings"]
    assert nightly["source"] == str(tmp_path / "demo/in")
    assert nightly["output"] == str(tmp_path / "demo/out")


def test_a_file_that_is_there_is_left_alone_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "prefect.yaml"
    path.write_text("mine")
    with pytest.raises(DeploymentError, match="expected no such file"):
        write_deployment(path, **EXAMPLE)
    assert path.read_text() == "mine"
    write_deployment(path, **EXAMPLE, overwrite=True)
    assert path.read_text() != "mine"


@pytest.mark.parametrize(
    ("schedule", "cron"),
    [("02:30", "30 2 * * *"), ("9:05", "5 9 * * *"), ("15 4 * * 1-5", "15 4 * * 1-5")],
)
def test_a_schedule_is_a_time_of_day_or_cron(tmp_path: Path, schedule: str, cron: str) -> None:
    path = write_deployment(tmp_path / "prefect.yaml", **EXAMPLE, schedule=schedule)
    assert deployments(path)["nightly"]["schedules"][0]["cron"] == cron


@pytest.mark.parametrize("schedule", ["25:00", "at night", "1 2 3", ""])
def test_another_schedule_is_refused_in_words(tmp_path: Path, schedule: str) -> None:
    with pytest.raises(DeploymentError, match=r"expected a time of day such as 02:30"):
        write_deployment(tmp_path / "prefect.yaml", **EXAMPLE, schedule=schedule)
    assert not (tmp_path / "prefect.yaml").exists()


def test_settings_that_are_wrong_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="Mars"):
        write_deployment(tmp_path / "prefect.yaml", **EXAMPLE | {"time_zone": "Mars/Olympus"})
    with pytest.raises(ValidationError, match="user name and password"):
        write_deployment(tmp_path / "prefect.yaml", **EXAMPLE | {"source": "s3://u:planted@h/b"})
    assert not (tmp_path / "prefect.yaml").exists()
