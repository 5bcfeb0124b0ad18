"""The command line, called as people call it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from processes import alive, command, descendants
from tiny import settings_for, tiny_weights, write_pairs

from flows.cli import main
from flows.fuse_archive import fuse_archive as flow
from flows.run_summary import RunSummary
from fusion_core.settings import FuseArchiveSettings


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "RAY_USAGE_STATS_ENABLED": "0",
        "COLUMNS": "200",
    }


def fuse_archive(*arguments: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("fuse-archive")), *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def rows(output: Path) -> pd.DataFrame:
    return (
        pd.read_parquet(output / "manifest") if (output / "manifest").is_dir() else pd.DataFrame()
    )


def test_every_setting_is_an_option_with_its_description(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        main(["run", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, field in FuseArchiveSettings.model_fields.items():
        assert f"--{name.replace('_', '-')} " in text or f"--{name.replace('_', '-')}," in text
        assert field.description is not None
        assert " ".join(field.description.split()[:4]) in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--chunk-pairs", "0"], "--chunk-pairs: Input should be greater than or equal to 1"),
        (["--worker", "tpu"], "--worker: String should match pattern"),
        (["--prefix", "{pair}"], "--prefix"),
        (["--source", "s3://key:secret@bucket"], "holds a user name and password"),
    ],
)
def test_a_wrong_value_is_named_with_its_option(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--source", "a", "--output", "b", *arguments])
    told = capsys.readouterr().err
    assert message in told
    assert "secret" not in told


def test_the_environment_sets_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE", "from-the-environment")
    monkeypatch.setenv("RUN__SOURCE", "from-the-environment")
    with pytest.raises(SystemExit, match="2"):
        main(["run", "--output", "b"])
    assert "--source" in capsys.readouterr().err


@pytest.mark.usefixtures("prefect_api")
def test_a_failed_run_says_why_in_a_line_and_exits_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "in", ["a"])
    places = ["--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    templates = ["--ir", "{kind}/{pair}.png", "--vi", "vi/{pair}.png"]
    with pytest.raises(SystemExit, match="1"):
        main(["run", *places, "--weights", tiny_weights(tmp_path), *templates])
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("fuse-archive: SettingsError: the templates have different fields")


@pytest.mark.ray
@pytest.mark.slow
def test_a_run_without_a_server_and_templates_with_braces(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    write_pairs(tmp_path / "in", ["a", "b"])
    (tmp_path / "in/ir").rename(tmp_path / "in/thermal")
    arguments = ["run", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    arguments += ["--weights", tiny_weights(tmp_path), "--ir", "thermal/{pair}.png"]
    arguments += ["--vi", "vi/{pair}.png"]
    with fuse_archive(*arguments, environment=environment) as process:
        told, errors = process.communicate(timeout=180)
    assert process.returncode == 0, errors
    assert "2 pairs found: 2 fused and 0 failed" in told
    assert "| mean |" in told
    assert len(rows(tmp_path / "out")) == 2


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api", "ray_nodes")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_actors_and_keeps_the_manifest_whole(
    sent: signal.Signals, tmp_path: Path, environment: dict[str, str]
) -> None:
    names = write_pairs(tmp_path / "in", [f"p{k:02}" for k in range(24)], size=(480, 640))
    arguments = ["run", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    weights = tiny_weights(tmp_path)
    arguments += ["--weights", weights, "--chunk-pairs", "2"]
    with fuse_archive(*arguments, environment=environment) as process:
        deadline = time.monotonic() + 120
        while not len(rows(tmp_path / "out")):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        below = descendants(process.pid)
        assert any("ray::FusionActor" in command(pid) for pid in below)
        process.send_signal(sent)
        process.communicate(timeout=60)
    assert process.returncode != 0
    deadline = time.monotonic() + 10
    while left := [pid for pid in below if alive(pid)]:
        assert time.monotonic() < deadline, [command(pid) for pid in left]
        time.sleep(0.2)
    committed = rows(tmp_path / "out")
    assert 0 < len(committed) < 24
    assert all(Path(url).is_file() for url in committed["fused_url"])
    again = flow(settings_for(tmp_path / "in", tmp_path / "out", weights, precision="auto"))
    assert isinstance(again, RunSummary)
    assert again.fused == 24 - len(committed)
    assert sorted(rows(tmp_path / "out")["pair_id"]) == names
