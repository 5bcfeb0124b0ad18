"""What a mistyped command says, before any server is started."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from s3_servers import S3Server
from tiny import tiny_weights, write_pairs

from flows.cli import main

FUSE_ARCHIVE = str(Path(sys.executable).with_name("fuse-archive"))
SOON = 3.0


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: Any, **__: Any) -> None:
        raise AssertionError("a server would be started")

    monkeypatch.setattr("flows.starting.start", start)


@pytest.fixture
def archive(tmp_path: Path) -> dict[str, str]:
    """Where things are, with a model that can be used."""
    write_pairs(tmp_path / "in", ["a"], size=(16, 16))
    places = {"source": tmp_path / "in", "output": tmp_path / "out"}
    return {"model": tiny_weights(tmp_path), **{k: str(v) for k, v in places.items()}}


def refused(
    capsys: pytest.CaptureFixture[str], given: dict[str, str], command: str = "run"
) -> list[str]:
    """Return the lines on stderr of a command that fails, of which there must be few."""
    words = [word for name, value in given.items() for word in (f"--{name}", value)]
    with pytest.raises(SystemExit) as ended:
        main([command, *words])
    told = capsys.readouterr()
    assert ended.value.code == 1
    assert told.out == ""
    lines = told.err.splitlines()
    assert 1 <= len(lines) <= 3
    return lines


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        ("source", "/nowhere/at/all", "there is no folder /nowhere/at/all; expected the archive"),
        ("output", "/proc/foo", "can't create /proc/foo/.*no folder can be made here"),
        ("output", "/dev/null", "can't create /dev/null/.*Not a directory"),
        ("ir", "{kind}/{pair}.png", "the templates have different fields"),
        ("ir", "ir/{pair", "ir/{pair"),
        ("model", "refinfuse", "No model at refinfuse. Give the path or URL"),
        ("worker", "gpu", "worker is 'gpu' and this machine has no GPU that torch can use"),
        ("index", "/nowhere.csv", "index is /nowhere.csv, and there is nothing"),
        ("inventory", "/nowhere.parquet", "inventory is /nowhere.parquet, and there is nothing"),
        ("worker", "gpu:0.5", "worker is 'gpu:0.5' and this machine has no GPU"),
    ],
)
def test_what_would_end_a_run_soon_is_said_at_once(
    archive: dict[str, str],
    setting: str,
    value: str,
    reason: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.cuda._lazy_init", _no_driver)
    (line,) = refused(capsys, {**archive, setting: value})
    assert re.search(reason, line), line


def _no_driver() -> None:
    raise RuntimeError("found no driver")


@pytest.mark.parametrize("command", ["evaluate", "train"])
def test_other_commands_look_first_too(
    archive: dict[str, str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"source": "/nowhere/at/all", "output": archive["output"]}
    assert "there is no folder" in refused(capsys, places, command)[0]


def test_a_damaged_model_is_refused(
    archive: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"\x80pickle")
    (line,) = refused(capsys, {**archive, "model": str(tmp_path / "w.safetensors")})
    assert "is a pickle" in line
    (line,) = refused(capsys, {**archive, "model-sha256": "0" * 64})
    assert "expected 0000" in line


@pytest.mark.s3
@pytest.mark.parametrize("setting", ["source", "output"])
def test_a_bucket_that_is_not_there_is_named(
    archive: dict[str, str],
    setting: str,
    s3: S3Server,
    s3_bucket: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (line,) = refused(capsys, {**archive, setting: "s3://mistyped"})
    assert "s3://mistyped" in line
    assert "there is no such bucket. Check the URL, or make the bucket" in line


def test_missing_credentials_lead_the_message(
    archive: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", archive["source"])
    (line,) = refused(capsys, {**archive, "source": "s3://archive"})
    assert line.startswith("fuse-archive: StorageError: no AWS credentials were found")


def test_a_good_start_leaves_nothing_but_the_probe(
    archive: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.starting.start", lambda *_, **__: _Outcome())
    words = [word for name, value in archive.items() for word in (f"--{name}", value)]
    main(["run", *words, "--dry-run", "--quiet"])
    assert not (tmp_path / "out").exists()
    main(["run", *words, "--quiet"])
    found = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert found == [".exclusive-probe"]


class _Outcome:
    def sentence(self) -> str:
        return "done."


def test_a_process_says_it_soon_and_loads_no_server(tmp_path: Path) -> None:
    script = (
        "import json, resource, sys\nfrom flows.cli import main\n"
        "try:\n    main()\nfinally:\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    heavy = {'torch', 'ray', 'prefect'} & set(sys.modules)\n"
        "    print(json.dumps([used.ru_utime + used.ru_stime, sorted(heavy)]))"
    )
    words = ["run", "--source", str(tmp_path / "nowhere"), "--output", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    seconds, heavy = json.loads(done.stdout)
    assert heavy == []
    assert seconds < SOON  # of the processor: other work on the machine is not ours


def test_called_without_a_word_it_tells_its_commands_and_ends_with_2() -> None:
    done = subprocess.run([FUSE_ARCHIVE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Usage: fuse-archive COMMAND" in done.stderr
