"""Memory does not grow with a scene: measured in processes of their own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).with_name("large_scene.py")
LIMIT_MB = 3 * 1024


def fused(folder: Path, model: str, side: int) -> dict[str, Any]:
    folder.mkdir()
    command = [sys.executable, str(SCRIPT), str(folder), model, str(side), "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def test_20000_x_20000_pixels_take_less_than_3_gb(tmp_path: Path) -> None:
    measured = fused(tmp_path / "large", "mean", 20_000)
    assert measured["megapixels"] == 400
    assert measured["peak_resident_mb"] < LIMIT_MB
    # The network's own time would be a quarter of an hour, and its memory is that of one tile:
    small = fused(tmp_path / "small", "refinefuse", 1800)
    assert small["peak_resident_mb"] < LIMIT_MB
