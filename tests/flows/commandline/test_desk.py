"""The operator's commands: what is typed reaches what does it."""

import json
from pathlib import Path
from typing import Any

import pytest
from archive_fixture import ArchiveFixture
from command_line import called

from flows.cli import main
from fusion_core.settings import FuseArchiveSettings


@pytest.fixture
def output(tmp_path: Path) -> str:
    archive = ArchiveFixture(str(tmp_path))
    archive.publish(tmp_path)
    return archive.settings.output


def test_an_output_is_told_by_each_command(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "runs", "failures"):
        status, told = called(capsys, command, "--output", output, "--json")
        assert status == 0
        assert json.loads(told)["output"].rstrip("/") == output.rstrip("/")
    _, told = called(capsys, "show", "--output", output, "c/d")
    assert "c/d" in told


def test_a_place_without_an_output_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("status", "runs", "failures"):
        with pytest.raises(SystemExit, match="1"):
            main([command, "--output", str(tmp_path / "none")])
        assert "Check the URL" in capsys.readouterr().err


def test_pairs_are_tried_again_by_the_settings_of_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Any] = []
    settings = FuseArchiveSettings(source="a", output="b", pairs=("x, y", "z"))

    def retry(*given: Any, **changes: Any) -> FuseArchiveSettings:
        asked.append((given, changes))
        return settings

    class Outcome:
        def markdown(self) -> str:
            return "done"

    def start(given: FuseArchiveSettings, *_: Any, **__: Any) -> Outcome:
        asked.append(given)
        return Outcome()

    monkeypatch.setattr("flows.desk.retry.retry", retry)
    monkeypatch.setattr("flows.starting.start", start)
    monkeypatch.setattr("flows.commandline.preflight.check_start", lambda _: None)
    main(["retry", "--output", "b", "x, y", "z", "--worker", "cpu:1"])
    given, changes = asked[0]
    assert given == ("b", ("x, y", "z"), None)
    assert changes == {"reprocess": "failed", "worker": "cpu:1", "dry_run": False}
    assert asked[1] is settings
    assert capsys.readouterr().out == "done\n"


def test_a_deployment_is_written_once_and_wrong_values_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = ["--source", "s3://a", "--output", "s3://b"]
    with pytest.raises(SystemExit, match="2"):
        main(["init", *places, "--time-zone", "Mars"])
    assert "--time-zone: found the time zone 'Mars'" in capsys.readouterr().err
    main(["init", *places, "--schedule", "03:15"])
    assert "fuse-archive deploy --file prefect.yaml" in capsys.readouterr().out
    assert 'cron: "15 3 * * *"' in Path("prefect.yaml").read_text()
    with pytest.raises(SystemExit, match="1"):
        main(["init", *places])
    assert "found prefect.yaml; expected no such file" in capsys.readouterr().err
    main(["init", *places, "--overwrite"])
    with pytest.raises(SystemExit, match="1"):
        main(["init", *places, "--file", "none/prefect.yaml"])
    assert "none/prefect.yaml can't be written" in capsys.readouterr().err
