"""The command line as a process of its own: without a server, and under signals."""

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

from flows.fuse_archive import fuse_archive as flow
from flows.summaries.run import RunSummary


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
        # A suite that a shell runs in the background inherits an ignored interrupt.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def rows(output: Path) -> pd.DataFrame:
    return (
        pd.read_parquet(output / "manifest") if (output / "manifest").is_dir() else pd.DataFrame()
    )


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.long
def test_a_run_without_a_server_and_templates_with_braces(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    write_pairs(tmp_path / "in", ["a", "b"])
    (tmp_path / "in/ir").rename(tmp_path / "in/thermal")
    arguments = ["run", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    arguments += ["--model", tiny_weights(tmp_path), "--ir", "thermal/{pair}.png"]
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
@pytest.mark.parametrize(
    "sent", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)]
)
def test_a_signal_ends_the_actors_and_keeps_the_manifest_whole(
    sent: signal.Signals, tmp_path: Path, environment: dict[str, str]
) -> None:
    names = write_pairs(tmp_path / "in", [f"p{k:02}" for k in range(24)], size=(480, 640))
    arguments = ["run", "--source", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    weights = tiny_weights(tmp_path)
    arguments += ["--model", weights, "--chunk-pairs", "2", "--publish-seconds", "0.2"]
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
    assert 0 < len(committed) < len(names)
    assert all(Path(url).is_file() for url in committed["fused_url"])
    again = flow(settings_for(tmp_path / "in", tmp_path / "out", weights, precision="auto"))
    assert isinstance(again, RunSummary)
    # What was committed in the last moment, and not heard of, the next run has published.
    assert len(committed) <= again.done_before < len(names)
    assert again.fused == len(names) - again.done_before
    assert sorted(rows(tmp_path / "out")["pair_id"]) == names
