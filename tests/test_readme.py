"""The README's examples, run as they are written."""

import re
import subprocess
from pathlib import Path

import pytest
from prefect_processes import prefect_server
from s3_servers import S3Server
from tiny import plain_network, tiny_model, write_fused, write_pairs

from fusion_core.demo.archive import write_archive
from fusion_core.jobs.evaluate_settings import EvaluateSettings
from fusion_core.jobs.score_settings import ScoreArchiveSettings
from fusion_core.models.weights_file import save_weights
from fusion_core.settings import FuseArchiveSettings
from fusion_core.training.ablation import AblateSettings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.mark.ray
@pytest.mark.s3
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(600)  # five starts of the command line
def test_the_examples_run_as_written(
    s3: S3Server,
    s3_bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for bucket in ("archive", "archive-fused", "archive-evaluation", "models"):
        s3.make_bucket(bucket)
    write_pairs("s3://archive", ["a", "b", "c"], size=(64, 64))
    write_fused("s3://archive", "densefuse", ["a", "b", "c"], size=(64, 64))
    save_weights("s3://models/mine.safetensors", tiny_model(), {})
    write_archive(str(tmp_path / "demo-archive/source"), pairs=2, height=96, width=128)
    monkeypatch.chdir(tmp_path)
    told = []
    # A server of their own would cost each command ten seconds.
    with prefect_server(tmp_path / "prefect", {}) as server:
        for command in blocks("sh"):
            done = subprocess.run(
                command, shell=True, env=server.environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            told.append(done.stdout)
    assert "0 would be fused" in told[1]  # the dry run comes after the run
    assert "Means over the 3 pairs" in told[2]
    assert "| refinefuse | " in told[2]
    assert "3 pairs found for 3 models: 9 images fused and 0 failed" in told[3]
    assert "| mine | 3 | " in told[3]
    assert "| DenseFuse (published) | 42 | " in told[3]
    assert "20 steps on 2 pairs" in told[-1]
    names: dict[str, object] = {"network": plain_network()}  # which the reader has
    for example in blocks("python"):
        exec(compile(example, "README.md", "exec"), names)
    assert len(names["rows"]) == 3  # type: ignore[arg-type]
    assert len(names["failed"]) == 0  # type: ignore[arg-type]
    assert len(names["scores"]) == 6  # type: ignore[arg-type]
    assert {*names["by_method"].index} == {"refinefuse", "densefuse"}  # type: ignore[attr-defined]
    assert "'qabf': " in capsys.readouterr().out
    assert (tmp_path / "fused.png").is_file()
    assert names["same_size"].shape == names["vi"].shape  # type: ignore[attr-defined]


def test_every_option_that_is_named_exists() -> None:
    fields = {
        *FuseArchiveSettings.model_fields,
        *ScoreArchiveSettings.model_fields,
        *EvaluateSettings.model_fields,
        *AblateSettings.model_fields,
    }
    options = {f"--{name.replace('_', '-')}" for name in fields}
    prefects = {"--host", "--type", "--no-prompt", "--prefect-file", "--all", "--pool"}
    others = {"--silent", "--fail"}
    pips = {"--constraint", "--index-url", "--help"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert named <= options | prefects | pips | others


def test_every_make_target_and_file_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for line in re.findall(r"^make ([a-z0-9 -]+?)(?:  |$)", README, re.MULTILINE):
        for target in line.split():
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for path in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_schedule_section_agrees_with_the_deployment() -> None:
    yaml = (ROOT / "infra/prefect.yaml").read_text()
    for command in ("prefect work-pool create fuse-archive", "deploy --prefect-file infra/prefect"):
        assert command in README
        assert command in yaml
