"""The command line, called as people call it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from processes import alive, command, descendants
from tiny import settings_for, tiny_weights, write_pairs

from flows.cli import main
from flows.fuse_archive import fuse_archive as flow
from flows.run_summary import RunSummary
from fusion_core.run_settings import RunSettings
from fusion_core.score_settings import ScoreArchiveSettings
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


@pytest.mark.parametrize(
    ("command", "settings"), [("run", FuseArchiveSettings), ("score", ScoreArchiveSettings)]
)
def test_every_setting_is_an_option_with_its_description(
    command: str,
    settings: type[RunSettings],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for name, field in settings.model_fields.items():
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


def scored_with(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> dict[str, str]:
    """Return the methods that the flow is given for these arguments."""
    given = []

    def flow_that_notes(settings: ScoreArchiveSettings) -> SimpleNamespace:
        given.append(settings)
        return SimpleNamespace(markdown=lambda: "the table")

    monkeypatch.setattr("flows.score_archive.score_archive", flow_that_notes)
    main(["score", "--source", "a", "--output", "b", *arguments])
    assert isinstance(given[0], ScoreArchiveSettings)
    return given[0].fused


def test_methods_come_through_the_command_line_as_they_are_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    methods = {
        "densefuse": "fused_densefuse/{pair}.png",
        "with-equals": "f=1/{pair:path},v=2/*.png",
        "other bucket": "s3://b/{settings}/{pair}.{digest}.png",
        'a "b"': 'x "y" \\z/{pair}.png',
        "backslash": "{pair}\\",
        "{braces}": "{pair}",
        "[1,2]": "[a]/{pair}.png",
        "true": "null/{pair}.png",
    }
    options = [f"{name}={text}" for name, text in methods.items()]
    joined = [f"--fused={option}" for option in options]
    apart = [word for option in options for word in ("--fused", option)]
    for arguments in (joined, apart, [*apart[:4], "--limit", "3", *joined[2:]]):
        assert scored_with(monkeypatch, *arguments) == methods
    assert capsys.readouterr().out == "the table\n" * 3
    for name, text in methods.items():
        assert scored_with(monkeypatch, "--fused", f"{name}={text}") == {name: text}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--fused: Field required"),
        (["--fused", "densefuse"], "--fused: found 'densefuse'; expected NAME=TEMPLATE"),
        (["--fused"], "--fused: found ''; expected NAME=TEMPLATE"),
        (["--fused", "=f/{pair}"], "--fused: Value error, found the method name ''"),
        (["--fused", "a/b=f/{pair}"], "found the method name 'a/b'"),
        (["--fused", "a=x/{pair}", "--fused", "a=y/{pair}"], "found the method 'a' twice"),
        (["--fused", "a=x/{name}.png"], "lacks ['pair']; expected all that make up the pair id"),
        (["--fused", "a=s3://key:secret@b/{pair}"], "holds a user name and password"),
    ],
)
def test_methods_that_cannot_be_scored_are_named(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["score", "--source", "a", "--output", "b", *arguments])
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
